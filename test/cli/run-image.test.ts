// Goal: a container image becomes a pair that a node accepts, with the image on its disks; whatever
// cannot be one is refused in one message, with nothing left behind.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import YAML from 'yaml';
import { UnderstudyError } from '../../src/base/errors.ts';
import { runImageCommand } from '../../src/cli/run.ts';
import { readVmDescription } from '../../src/hypervisor/config.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { dockerArchive, tar } from '../container/tar-writer.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { program, root } from './run.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
let outs = 0;

function freshOut(): string {
  outs += 1;
  return at(`out${outs}`);
}

/** The verb, in this process; returns what it said. */
async function running(...args: string[]): Promise<string> {
  let said = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += text.toString();
    return true;
  });
  const progress = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const guest = args.includes('--guest') ? [] : ['--guest', at('guest')];
    // What belongs to the command of the machine stays at the end.
    const command = runImageCommand().exitOverride();
    await command.parseAsync([...guest, ...args], { from: 'user' });
    return said;
  } finally {
    write.mockRestore();
    progress.mockRestore();
  }
}

const isRoot = process.getuid?.() === 0;
const image = at('web.tar');

/** What a tool that knows ext4 sees on a disk. */
const onDisk = (disk: string, request: string): string =>
  execFileSync('debugfs', ['-R', request, disk], {
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();

beforeAll(() => {
  fs.mkdirSync(at('guest'));
  fs.writeFileSync(at('guest/vmlinuz'), 'a kernel');
  fs.writeFileSync(at('guest/container.img'), 'programs');
  fs.writeFileSync(at('guest/guest.json'), '{"append":"x","containerAppend":"console=ttyS0"}');
  const layers = [
    tar(
      { name: 'etc/' },
      { name: 'etc/passwd', content: 'app:x:1000:1000::/home/app:/bin/sh\n' },
      { name: 'srv/', uid: 1000, gid: 1001, mode: 0o700 },
      { name: 'srv/page', content: 'hello', uid: 1000 },
      { name: 'var/' },
      { name: 'var/cache', type: '2', link: '/tmp/cache' },
      { name: 'gone', content: 'x' },
    ),
    tar({ name: '.wh.gone' }),
  ];
  const config = {
    ...{ Cmd: ['/bin/serve', 'a b'], User: 'app', Env: ['A=1'], WorkingDir: '/srv' },
    ...{ ExposedPorts: { '80/tcp': {}, '53/udp': {} }, Volumes: { '/srv': {} } },
  };
  fs.writeFileSync(image, dockerArchive({ config, layers }));
});

describe.skipIf(!isRoot)('a pair', () => {
  it('is made, and says what it is and what to type next', async () => {
    const out = freshOut();
    const said = await running(image, '--as', 'web', '--out', out, '--egress', 'tap:web-a');
    const pairFile = path.join(out, 'pair.yaml');
    expect(said.split('\n')).toEqual([
      "web is made: it runs /bin/serve 'a b'",
      'disk vol1 is /srv',
      'it serves 80/tcp, 53/udp at 10.77.0.2, egress tap:web-a',
      `start it:   understudy node --pair ${pairFile} --name a`,
      `protect it: understudy node --pair ${pairFile} --name b`,
      `look at it: understudy console --pair ${pairFile}`,
      '',
    ]);
    const { self, pair, vmFile } = loadPairConfig(pairFile, 'a');
    const [rootDisk, vol1] = [path.join(out, 'disk.root.raw'), path.join(out, 'disk.vol1.raw')];
    expect(pair).toBe('web');
    expect(self).toMatchObject({ disks: { root: rootDisk, vol1 }, egress: 'tap:web-a' });
    const vm = await readVmDescription(vmFile);
    expect(vm).toMatchObject({ name: 'web', memoryBytes: 256 * 1024 ** 2, nics: [{}] });
    expect(vm.disks.map(({ id }) => id)).toEqual(['root', 'vol1']);
    const [kernel, initrd] = [path.join(out, 'vmlinuz'), path.join(out, 'initrd.img')];
    expect(vm.boot).toEqual({ kind: 'kernel', kernel, initrd, append: 'console=ttyS0' });
    expect(fs.readFileSync(kernel, 'utf8')).toBe('a kernel');
    const inside = fs.readFileSync(initrd, 'latin1');
    expect(inside.startsWith('programs')).toBe(true);
    for (const words of [
      'arg\0/bin/serve\0arg\0a b\0',
      'uid\x001000\0',
      'env\0A=1\0',
      '\n/srv\n',
    ]) {
      expect(`\n${inside.replaceAll('\0/srv\n', '\n/srv\n')}`).toContain(words);
    }
    expect(onDisk(rootDisk, 'ls /')).not.toMatch(/gone|lost\+found/);
    expect(onDisk(rootDisk, 'cat /srv/page')).toBe('hello');
    expect(onDisk(vol1, 'cat /page')).toBe('hello');
    expect(onDisk(vol1, 'stat /')).toMatch(/Mode: +0700[\s\S]*User: +1000 +Group: +1001/);
    for (const disk of [rootDisk, vol1]) {
      execFileSync('e2fsck', ['-fn', disk], { stdio: 'pipe' });
      expect(fs.statSync(disk).blocks * 512).toBeLessThan(64 * 1024 ** 2);
    }
    const files = ['arbiter', 'disk.root.raw', 'disk.vol1.raw', 'initrd.img', 'pair.yaml'];
    expect(fs.readdirSync(out).sort()).toEqual([...files, 'vm.yaml', 'vmlinuz']);
    for (const name of fs.readdirSync(out)) {
      expect(fs.statSync(path.join(out, name)).mode & 0o077, name).toBe(0);
    }
  });

  it('is as a person wants it else, and is told as JSON', async () => {
    const out = freshOut();
    const said = await running(
      ...[image, '--as', 'other', '--out', out, '--memory', '512M', '--disk-size', '32M', '--json'],
      ...['-v', 'cache:/var/cache:16M', '-v', 'pages:/srv', '-e', 'B=2', '-u', '7:8', '-w', '/tmp'],
      ...['--', 'sh', '-c', 'exit 3'],
    );
    expect(JSON.parse(said)).toEqual({
      ...{ dir: out, pair: path.join(out, 'pair.yaml'), vm: path.join(out, 'vm.yaml') },
      disks: ['root', 'pages', 'cache'],
      command: ['sh', '-c', 'exit 3'],
      // Where the image's own link leads.
      volumes: [
        { disk: 'pages', path: '/srv' },
        { disk: 'cache', path: '/tmp/cache' },
      ],
      exposedPorts: ['80/tcp', '53/udp'],
    });
    const size = (disk: string): number => fs.statSync(path.join(out, disk)).size / 1024 ** 2;
    expect([size('disk.root.raw'), size('disk.cache.raw')]).toEqual([32, 16]);
    const vm = YAML.parse(fs.readFileSync(path.join(out, 'vm.yaml'), 'utf8')) as object;
    expect(vm).toMatchObject({ memory: 512 * 1024 ** 2 });
  });

  it('is made of a directory, which stays as it is', async () => {
    const from = at('directory');
    fs.mkdirSync(path.join(from, 'etc'), { recursive: true });
    fs.writeFileSync(path.join(from, 'etc/name'), 'x');
    const out = freshOut();
    await running(from, '--as', 'plain', '--out', out, '--', '/init');
    expect(onDisk(path.join(out, 'disk.root.raw'), 'cat /etc/name')).toBe('x');
    expect(fs.readdirSync(from)).toEqual(['etc']);
  });

  it('interrupted in the middle: nothing half stays', async () => {
    const from = at('large.tar');
    const large = tar(
      { name: 'etc/' },
      { name: 'etc/large', content: Buffer.alloc(256 * 1024 ** 2, 7) },
      ...Array.from({ length: 50 }, (_, n) => ({
        name: `etc/${n}`,
        content: Buffer.alloc(1 << 20),
      })),
    );
    fs.writeFileSync(from, large);
    const out = freshOut();
    const args = ['run', from, '--as', 'large', '--out', out, '--guest', at('guest'), '--', 'x'];
    const child = spawn(process.execPath, [...program, ...args], { cwd: root });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await vi.waitUntil(() => fs.existsSync(path.join(out, '.root/etc/large')), {
      timeout: hangMs,
      interval: 1,
    });
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    expect(stderr).toContain('understudy: interrupted, nothing is made');
    expect(fs.readdirSync(out)).toEqual([]);
  });
});

describe.skipIf(!isRoot)('what cannot be run is refused, with all that is wrong', () => {
  it.each<[string, () => string[], string[]]>([
    ['no image', () => [at('nowhere')], ["Cannot read the image '", 'try: give a file']],
    ['a text', () => [at('guest/vmlinuz')], ['is no container image: it is no tar archive']],
    ['no memory', () => [image, '--memory', '8M'], ['--memory: must be at least 32M']],
    ['an odd size', () => [image, '--disk-size', 'much'], ['--disk-size: must be a size']],
    [
      'a small disk',
      () => [image, '--disk-size', '1M'],
      ['must have at least 17M', 'is to have 1M'],
    ],
    ['an odd volume', () => [image, '-v', 'a:/x:big'], ['-v a: must be a size such as']],
    ['a bind mount', () => [image, '-v', '/srv:/srv'], ["'/srv:/srv' is a directory of this host"]],
    ['a variable', () => [image, '-e', 'HOME'], ["must be NAME=VALUE: current value is 'HOME'"]],
    ['a user', () => [image, '-u', 'ann'], ["as 'ann': the image has no user 'ann'"]],
    ['an egress', () => [image, '--egress', 'tip:x'], ["Cannot use 'tip:x' as egress"]],
    [
      'engine options',
      () => [image, '--privileged', '-p', '80:80', '--cap-add', 'ALL', '--network=host', '-it'],
      ['--privileged: the command', '--publish: ', '--cap-add: ', '--network: ', '--tty: '],
    ],
    [
      'no command',
      () => {
        fs.writeFileSync(at('mute.tar'), dockerArchive({ layers: [tar({ name: 'etc/' })] }));
        return [at('mute.tar')];
      },
      ['does not say which command it runs', 'try: give it at the end: -- COMMAND'],
    ],
    [
      'a name that leads out',
      () => {
        const layers = [tar({ name: 'etc/' }, { name: '../evil', content: 'x' })];
        fs.writeFileSync(at('evil.tar'), dockerArchive({ config: { Cmd: ['x'] }, layers }));
        return [at('evil.tar')];
      },
      ["'../evil' leads out of the root of the image"],
    ],
  ])('%s', async (_, args, says) => {
    const out = freshOut();
    const wrong = running(...args(), '--as', 'bad', '--out', out);
    const error = await wrong.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnderstudyError);
    const text = (error as UnderstudyError).describe();
    for (const part of says) expect(text).toContain(part);
    expect((error as UnderstudyError).code).toBe('config');
    expect(fs.existsSync(out) ? fs.readdirSync(out) : []).toEqual([]);
    expect(fs.existsSync(path.join(dir, 'evil'))).toBe(false);
  });

  it('a directory that would hold itself', async () => {
    const from = at('holds-itself');
    fs.mkdirSync(path.join(from, 'etc'), { recursive: true });
    const wrong = running(from, '--as', 'self', '--out', path.join(from, 'out'), '--', 'x');
    await expect(wrong).rejects.toThrow('lies in the image');
    expect(fs.readdirSync(path.join(from, 'out'))).toEqual([]);
  });

  it('no kernel: where it was looked for, and what to run', async () => {
    const wrong = running(image, '--as', 'x', '--out', freshOut(), '--guest', at('no-guest'));
    await expect(wrong).rejects.toMatchObject({
      code: 'environment',
      message: `There is no guest image in '${at('no-guest')}'`,
      hint: 'run scripts/setup',
    });
  });
});

it('another user than root is told why that will not do', async () => {
  const getuid = vi.spyOn(process as { getuid: () => number }, 'getuid').mockReturnValue(1000);
  const out = freshOut();
  const error = await running(image, '--as', 'x', '--out', out).catch((thrown: unknown) => thrown);
  getuid.mockRestore();
  expect(error).toMatchObject({ code: 'rights' });
  expect((error as UnderstudyError).describe()).toContain('only root can keep: this is user 1000');
  expect(fs.existsSync(out)).toBe(false);
});
