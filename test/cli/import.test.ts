// Goal: a raw image becomes a pair that a node accepts, byte for byte, and whatever cannot be one
// is refused in one message, with nothing left behind.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import YAML from 'yaml';
import { UnderstudyError } from '../../src/base/errors.ts';
import { importCommand } from '../../src/cli/import.ts';
import { readVmDescription } from '../../src/hypervisor/config.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { program, root, runVerb } from './run.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const MiB = 1024 ** 2;
let outs = 0;

function freshOut(): string {
  outs += 1;
  return at(`out${outs}`);
}

/** A file with data at its begin and its end, and a hole between. */
function image(name: string, bytes: number): string {
  fs.writeFileSync(at(name), randomBytes(4096));
  fs.truncateSync(at(name), bytes);
  const fd = fs.openSync(at(name), 'r+');
  fs.writeSync(fd, Buffer.from('the end'), 0, 7, bytes - 7);
  fs.closeSync(fd);
  return at(name);
}

const understudy = (...args: string[]) => runVerb(args);

const fromHere = (file: string): string => path.relative(root, file);

/** The verb, in this process; standard output is thrown away. */
async function importing(...args: string[]): Promise<void> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await importCommand().exitOverride().parseAsync(args, { from: 'user' });
  } finally {
    write.mockRestore();
  }
}

let disk: string;
let data: string;
const kernel = at('vmlinuz');

beforeAll(() => {
  disk = image('web.raw', 8 * MiB);
  data = image('data.raw', 4 * MiB);
  fs.writeFileSync(kernel, 'a kernel');
  fs.writeFileSync(at('initrd'), 'programs');
});

describe('a pair', () => {
  it('is made, and says what to type next', async () => {
    const out = freshOut();
    const before = fs.statSync(disk).mtimeMs;
    const ended = await understudy(
      ...['import', fromHere(disk), '--as', 'web', '--out', out, '--memory', '512MiB'],
      ...['--kernel', fromHere(kernel), '--initrd', fromHere(at('initrd'))],
      ...['--append', 'console=ttyS0, quiet: "yes"'],
      ...['--egress', 'tap:web-a,bridge=br0'],
    );
    expect(ended).toMatchObject({ code: 0 });
    const pairFile = path.join(out, 'pair.yaml');
    expect(ended.stdout.split('\n')).toEqual([
      'web is made',
      `start it:   understudy node --pair ${pairFile} --name a`,
      `protect it: understudy node --pair ${pairFile} --name b`,
      `look at it: understudy console --pair ${pairFile}`,
      '',
    ]);

    const { self, peer, pair, vmFile } = loadPairConfig(pairFile, 'a');
    expect(pair).toBe('web');
    const copy = path.join(out, 'disk.d0.raw');
    expect(self).toMatchObject({ disks: { d0: copy }, egress: 'tap:web-a,bridge=br0' });
    expect(peer).toMatchObject({ disks: { d0: path.join(out, 'backup.d0.raw') }, egress: 'none' });
    const vm = await readVmDescription(vmFile);
    expect(vm).toMatchObject({ name: 'web', memoryBytes: 512 * MiB, nics: [{}] });
    expect(vm.boot).toEqual({
      kind: 'kernel',
      kernel,
      initrd: at('initrd'),
      append: 'console=ttyS0, quiet: "yes"',
    });

    expect(fs.readFileSync(copy).equals(fs.readFileSync(disk))).toBe(true);
    expect(fs.statSync(copy).blocks * 512).toBeLessThan(MiB);
    expect(fs.statSync(disk).mtimeMs).toBe(before);
    for (const name of fs.readdirSync(out)) {
      expect(fs.statSync(path.join(out, name)).mode & 0o077, name).toBe(0);
    }
  });

  it('boots from its first disk without a kernel, and is told as JSON', async () => {
    const out = freshOut();
    fs.mkdirSync(out); // an empty one may be there
    const { code, stdout } = await understudy(
      ...['import', disk, data, '--as', 'two', '--out', out, '--memory', '64M', '--json'],
      ...['--nic', '52:54:00:00:00:01', '--nic', '52:54:00:00:00:02'],
    );
    expect(code).toBe(0);
    const files = { pair: path.join(out, 'pair.yaml'), vm: path.join(out, 'vm.yaml') };
    expect(JSON.parse(stdout)).toEqual({ dir: out, ...files, disks: ['d0', 'd1'] });
    const vm = await readVmDescription(files.vm);
    expect(vm.boot).toEqual({ kind: 'disk' });
    expect(vm.nics).toEqual([{ mac: '52:54:00:00:00:01' }, { mac: '52:54:00:00:00:02' }]);
    expect(fs.readFileSync(path.join(out, 'disk.d1.raw')).equals(fs.readFileSync(data))).toBe(true);
  });

  it('is like another, with other disks', async () => {
    const like = {
      name: 'first',
      memory: '96M',
      cpu: 'qemu64,+ssse3',
      disks: [
        { id: 'root', path: 'web.raw', size: '8M' },
        { id: 'docs', readOnly: true },
      ],
      nics: [{}],
    };
    fs.writeFileSync(at('like.yaml'), YAML.stringify(like));
    const out = freshOut();
    await importing(data, disk, '--as', 'second', '--out', out, '--vm', at('like.yaml'));
    const made = await readVmDescription(path.join(out, 'vm.yaml'));
    const { disks, ...original } = await readVmDescription(at('like.yaml'));
    expect(made).toEqual({
      ...original,
      disks: [
        { id: 'root', readOnly: false },
        { id: 'docs', readOnly: true },
      ],
    });
    expect(disks).toHaveLength(2);
    const { pair, self } = loadPairConfig(path.join(out, 'pair.yaml'), 'a');
    expect(pair).toBe('second');
    expect(self.disks).toEqual({
      root: path.join(out, 'disk.root.raw'),
      docs: path.join(out, 'disk.docs.raw'),
    });
    const root = fs.readFileSync(path.join(out, 'disk.root.raw'));
    expect(root.equals(fs.readFileSync(data))).toBe(true);
  });

  it('may have no network card', async () => {
    const out = freshOut();
    await importing(disk, '--as', 'mute', '--out', out, '--memory', '64M', '--no-nic');
    expect((await readVmDescription(path.join(out, 'vm.yaml'))).nics).toEqual([]);
  });
});

function headed(name: string, head: string, offset = 0): string {
  const bytes = Buffer.alloc(4096);
  bytes.write(head, offset, 'latin1');
  fs.writeFileSync(at(name), bytes);
  return at(name);
}

const convert = 'Convert it: qemu-img convert -O raw';
const enough = ['--memory', '64M'];

describe('what cannot be imported is refused, with all that is wrong', () => {
  it.each<[string, () => string[], string[]]>([
    ['qcow2', () => [headed('a.raw', 'QFI\xfb'), ...enough], ['is a qcow2 image', convert]],
    ['vmdk', () => [headed('b.raw', 'KDMV'), ...enough], ['is a vmdk image', convert]],
    ['vhdx', () => [headed('c.raw', 'vhdxfile'), ...enough], ['is a vhdx image', convert]],
    ['vdi', () => [headed('d.raw', '\x7f\x10\xda\xbe', 64), ...enough], ['is a vdi', convert]],
    ['its name', () => [headed('e.qcow2', ''), ...enough], ['is named like a qcow2', convert]],
    ['no image', () => [at('nowhere'), ...enough], [`${at('nowhere')}: cannot be read: ENOENT`]],
    ['a directory', () => [dir, ...enough], ['must be a regular file']],
    [
      'an empty image',
      () => {
        fs.writeFileSync(at('empty'), '');
        return [at('empty'), ...enough];
      },
      ['multiple of 512 bytes, and not 0: ', 'has 0 bytes'],
    ],
    [
      'an odd size',
      () => {
        fs.writeFileSync(at('odd'), 'x'.repeat(1000));
        return [at('odd'), ...enough];
      },
      ['multiple of 512 bytes', 'has 1000 bytes'],
    ],
    ['no memory', () => [disk], ['--memory: is missing: must be a size such as 128M']],
    ['odd memory', () => [disk, '--memory', 'much'], ['--memory: must be', 'value is much']],
    ['little memory', () => [disk, '--memory', '8M'], ['--memory: must be at least 32M']],
    ['no kernel', () => [disk, ...enough, '--kernel', 'nix'], ['--kernel: cannot be read: ENOENT']],
    ['initrd alone', () => [disk, ...enough, '--initrd', kernel], ['--initrd: needs `kernel`']],
    ['append alone', () => [disk, ...enough, '--append', 'x'], ['--append: needs `kernel`']],
    ['a bad address', () => [disk, ...enough, '--nic', 'eth0'], ['--nic: must be a MAC address']],
    ['an image twice', () => [disk, disk, ...enough], ['web.raw: another disk has this image']],
    ['an egress', () => [disk, ...enough, '--egress', 'tip:x'], ["Cannot use 'tip:x' as egress"]],
    [
      'an egress without a card',
      () => [disk, ...enough, '--no-nic', '--egress', 'tap:x'],
      ["no network card that could lead to 'tap:x'"],
    ],
    [
      'several things',
      () => [at('nowhere'), '--memory', '1', '--nic', '1'],
      [`${at('nowhere')}: cannot`, '--memory: ', '--nic: '],
    ],
    ['no VM file', () => [disk, '--vm', at('nix')], ["Cannot read VM file '"]],
    [
      'a VM file and more',
      () => [disk, '--vm', at('nix'), '--kernel', kernel, '--no-nic'],
      ['not also --kernel, --nic', 'try: leave out --vm, or the others'],
    ],
    [
      'a VM file with more disks',
      () => {
        fs.writeFileSync(at('two.yaml'), 'name: x\nmemory: 64M\ndisks: [{}, {}]\n');
        return [disk, '--vm', at('two.yaml')];
      },
      ['has 2 disks (d0, d1); the number of images given is 1', 'try: give an image for each'],
    ],
  ])('%s', async (_, args, says) => {
    const out = freshOut();
    const error = await importing(...args(), '--as', 'bad', '--out', out).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UnderstudyError);
    const text = (error as UnderstudyError).describe();
    for (const words of says) expect(text).toContain(words);
    expect((error as UnderstudyError).code).toBe('config');
    expect(fs.existsSync(out)).toBe(false);
  });

  it.each([
    ['a b', "A pair cannot be called 'a b'"],
    ['9lives', '--as: must be 1 to 32 letters'],
  ])('the name %s', async (name, says) => {
    const wrong = importing(disk, ...enough, '--as', name, '--out', freshOut());
    await expect(wrong).rejects.toThrow(says);
  });

  it('a directory with something in it: it stays as it was', async () => {
    const out = freshOut();
    fs.mkdirSync(out);
    fs.writeFileSync(path.join(out, 'thesis'), 'mine');
    const { code, stderr } = await understudy(
      ...['import', disk, '--as', 'full', '--out', out, ...enough],
    );
    expect(code).toBe(2);
    expect(stderr).toContain("is not empty: there is 'thesis' in it");
    expect(fs.readFileSync(path.join(out, 'thesis'), 'utf8')).toBe('mine');
    expect(fs.readdirSync(out)).toEqual(['thesis']);
  });
});

describe.skipIf(process.getuid?.() !== 0)('without room', () => {
  const place = at('small');
  afterAll(() => {
    execFileSync('umount', [place]);
  });

  it('it says how much is needed, and leaves nothing', async () => {
    fs.mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', place]);
    fs.writeFileSync(at('large.raw'), randomBytes(3 * MiB));
    const out = path.join(place, 'out');
    const { code, stderr } = await understudy(
      ...['import', at('large.raw'), '--as', 'large', '--out', out, ...enough],
    );
    expect(code).toBe(3);
    expect(stderr).toContain(`'${out}' has too little room: 2 MiB are free, 3 MiB are needed`);
    expect(fs.readdirSync(out)).toEqual([]);
  });
});

it('an image that something writes to meanwhile: a mixture of two times is no disk', async () => {
  const busy = at('busy.raw');
  fs.writeFileSync(busy, Buffer.alloc(64 * MiB, 7));
  const out = freshOut();
  const wrong = importing(busy, '--as', 'busy', '--out', out, ...enough);
  wrong.catch(() => undefined); // awaited below
  await vi.waitUntil(() => fs.existsSync(path.join(out, 'disk.d0.raw')), {
    timeout: hangMs,
    interval: 1,
  });
  fs.writeFileSync(busy, 'x', { flag: 'r+' });
  await expect(wrong).rejects.toMatchObject({
    code: 'disk',
    message: `'${busy}' was written to while it was copied`,
  });
  expect(fs.readdirSync(out)).toEqual([]);
});

it('interrupted in the middle: nothing half stays, and it can be done again', async () => {
  const first = at('long0.raw');
  fs.writeFileSync(first, Buffer.alloc(128 * MiB, 7));
  const images = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => at(`long${n}.raw`));
  for (const link of images.slice(1)) fs.linkSync(first, link); // a gibibyte to copy
  const out = freshOut();
  const args = ['import', ...images, '--as', 'long', '--out', out, ...enough];
  const child = spawn(process.execPath, [...program, ...args], { cwd: root });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await vi.waitUntil(() => fs.existsSync(path.join(out, 'disk.d1.raw')), {
    timeout: hangMs,
    interval: 1,
  });
  child.kill('SIGINT');
  expect(await ended).toBe(1);
  expect(stderr).toContain('copying long0.raw: ');
  expect(stderr).toContain('understudy: interrupted, nothing is imported');
  expect(fs.readdirSync(out)).toEqual([]);
  await importing(disk, '--as', 'long', '--out', out, ...enough);
  expect(fs.existsSync(path.join(out, 'pair.yaml'))).toBe(true);
});
