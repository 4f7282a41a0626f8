/** VM files: what they may say, and how everything else is refused. */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  defaultMac,
  loadVmConfig,
  parseVmConfig,
  type VmDescription,
  vmFingerprint,
} from '../../src/hypervisor/config.ts';
import { readVmFile } from '../../src/hypervisor/vm-file/read.ts';
import { makeRunDir, removeRunDir } from './real-qemu.ts';

let dir: string;

beforeAll(() => {
  dir = makeRunDir();
  writeFileSync(path.join(dir, 'vmlinuz'), 'kernel');
  writeFileSync(path.join(dir, 'initrd.img'), 'initrd');
  for (const name of ['root.raw', 'data.raw']) image(name, 1024 * 1024);
  writeFileSync(path.join(dir, 'hidden.raw'), Buffer.concat([qcow2Head, Buffer.alloc(508)]));
  writeFileSync(path.join(dir, 'short.raw'), 'abc');
  image('named.qcow2', 512);
  mkdirSync(path.join(dir, 'directory'));
  symlinkSync('root.raw', path.join(dir, 'link.raw'));
});
afterAll(() => removeRunDir(dir));

const qcow2Head = Buffer.from('514649fb', 'hex');

function image(name: string, bytes: number): void {
  const file = path.join(dir, name);
  writeFileSync(file, '');
  truncateSync(file, bytes);
}

const parse = (text: string): VmDescription =>
  parseVmConfig(text, { file: 'vm.yaml', baseDir: dir });

/** Lines of the error, without the first. */
function problems(text: string): string[] {
  const read = readVmFile(text, dir);
  if (!Array.isArray(read)) throw new Error('the file was accepted');
  return read.map(({ line, place, message }) => `${line} ${place}: ${message}`);
}

describe('a VM file', () => {
  it('can be short', () => {
    // Goal: two or three keys are enough, and the rest has defaults.
    expect(parse('name: web\nmemory: 128M\ndisks: [{ path: root.raw }]\n')).toEqual({
      name: 'web',
      qemu: 'qemu-system-x86_64',
      machine: 'pc',
      cpu: 'qemu64',
      memoryBytes: 128 * 1024 * 1024,
      boot: { kind: 'disk' },
      disks: [{ id: 'd0', path: path.join(dir, 'root.raw'), readOnly: false }],
      nics: [],
      ports: [],
    });
  });

  it('can say everything', () => {
    // Goal: every key that there is arrives where it belongs.
    const text = `
name: web-1
memory: 1G
boot:
  kernel: vmlinuz
  initrd: ./initrd.img
  append: console=ttyS0 root=/dev/vda
disks:
  - { id: root, path: root.raw, size: 1M, format: raw, bus: virtio }
  - { id: data, readOnly: true }
nics:
  - { mac: 52:54:00:AB:cd:01, model: virtio-net }
  - {}
console: true
cpu: qemu64,+ssse3
machine: pc-i440fx-7.2
qemu: /opt/qemu/bin/qemu-system-x86_64
upgradeFrom: qemu-of-before
ports: [agent]
firmware: vmlinuz
`;
    expect(parse(text)).toEqual({
      name: 'web-1',
      qemu: '/opt/qemu/bin/qemu-system-x86_64',
      upgradeFrom: 'qemu-of-before',
      machine: 'pc-i440fx-7.2',
      firmware: path.join(dir, 'vmlinuz'),
      cpu: 'qemu64,+ssse3',
      memoryBytes: 1024 ** 3,
      boot: {
        kind: 'kernel',
        kernel: path.join(dir, 'vmlinuz'),
        initrd: path.join(dir, 'initrd.img'),
        append: 'console=ttyS0 root=/dev/vda',
      },
      disks: [
        { id: 'root', path: path.join(dir, 'root.raw'), sizeBytes: 1024 ** 2, readOnly: false },
        { id: 'data', readOnly: true },
      ],
      nics: [{ mac: '52:54:00:ab:cd:01' }, { mac: defaultMac('web-1', 1) }],
      ports: ['agent'],
    });
  });

  it('is read from disk, its paths relative to it', async () => {
    // Goal: the working directory does not matter.
    const file = path.join(dir, 'directory', 'vm.yaml');
    writeFileSync(file, 'name: web\nmemory: 32M\ndisks: [{ path: ../link.raw }]\n');
    const vm = await loadVmConfig(path.relative(process.cwd(), file));
    expect(vm.disks[0]?.path).toBe(path.join(dir, 'link.raw'));
  });

  it('that is not there is named', async () => {
    // Goal: the path and the reason are in the error.
    const loading = loadVmConfig(path.join(dir, 'none.yaml'));
    await expect(loading).rejects.toMatchObject({ code: 'config', cause: { code: 'ENOENT' } });
  });

  it('gives every card without an address its own, always the same', () => {
    // Goal: both nodes compute the same, and two machines do not collide.
    const nics = (name: string) =>
      parse(`name: ${name}\nmemory: 32M\ndisks: [{}]\nnics: [{}, {}]`).nics.map(({ mac }) => mac);
    expect(nics('web')).toEqual(nics('web'));
    expect(new Set([...nics('web'), ...nics('db')]).size).toBe(4);
    for (const mac of nics('web')) expect(mac).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  });

  it.each([
    ['33554432', 32],
    ['64M', 64],
    ['65536K', 64],
    ['2G', 2048],
    ['"128 MiB"', 128],
  ])('understands memory: %s', (text, mib) => {
    // Goal: sizes as people write them.
    expect(parse(`name: a\nmemory: ${text}\ndisks: [{}]`).memoryBytes).toBe(mib * 1024 * 1024);
  });
});

describe('a VM file is refused', () => {
  /** Text below a name, memory and disk that are right; its first line is line 4. */
  const base = 'name: a\nmemory: 32M\ndisks: [{}]\n';

  it.each([
    ['smp: 2', /^4 smp: not possible: lockstep runs one virtual CPU/],
    ['cpus: 1', /^4 cpus: not possible: lockstep runs one virtual CPU/],
    ['vga: std', /^4 vga: not possible: the machine has no display/],
    ['display: gtk', /^4 display: not possible: the machine has no display/],
    ['usb: true', /^4 usb: not possible: USB devices are not in the event log/],
    ['rtc: localtime', /^4 rtc: not possible: the clock of the machine starts at UTC/],
    ['snapshot: true', /^4 snapshot: not possible: a temporary overlay/],
    ['extraArgs: [-s]', /^4 extraArgs: not possible: options for QEMU would make/],
    ['accel: kvm', /^4 accel: not possible: lockstep counts instructions/],
    ['consle: true', /^4 consle: unknown key: did you mean 'console'\?$/],
    ['nisc: []', /^4 nisc: unknown key: did you mean 'nics'\?$/],
    ['toString: 1', /^4 toString: unknown key: known keys are name, memory, boot, disks/],
    ['colour: red', /^4 colour: unknown key: known keys are name, memory, boot, disks/],
    ['console: false', /^4 console: must be true, or left out/],
    ['cpu: host', /^4 cpu: must be a CPU model of QEMU: host needs KVM/],
    ['cpu: a b', /^4 cpu: must be a CPU model of QEMU.*current value is a b$/],
    [
      'machine: q35',
      /^4 machine: must be pc, or a full name such as pc-i440fx-7.2: current value is q35. q35 brings an AHCI/,
    ],
    [
      'machine: virt',
      /^4 machine: must be pc, or a full name such as pc-i440fx-7.2: current value is virt. no other machine/,
    ],
    ['boot: { disk: true, kernel: vmlinuz }', /^4 boot: must have `kernel` or `disk: true`, not/],
    ['boot: { initrd: initrd.img }', /^4 boot.initrd: needs `kernel` beside it$/],
    ['boot: { kernel: none }', /^4 boot.kernel: cannot be read: ENOENT/],
    ['boot: { kernel: vmlinuz, cmdline: x }', /^4 boot.cmdline: not possible: write `append`$/],
    ['boot: vmlinuz', /^4 boot: must be `kernel: PATH`.*current value is vmlinuz$/],
    ['nics: [{ model: e1000 }]', /^4 nics\[0\].model: must be virtio-net: .* other cards send/],
    ['nics: [{ tap: tap0 }]', /^4 nics\[0\].tap: not possible: where frames go/],
    ['nics: [{ mac: 52:54:00:12:34 }]', /^4 nics\[0\].mac: must be a MAC address/],
    ['nics: [{ mac: 01:00:5e:00:00:01 }]', /^4 nics\[0\].mac: must be the address of one card/],
    ['nics: [{ mac: 00:00:00:00:00:00 }]', /^4 nics\[0\].mac: must be the address of one card/],
    ['ports: agent', /^4 ports: must be a list of names of serial ports/],
    ['ports: [a, b, c, d]', /^4 ports: must be at most 3 serial ports beside the console/],
    ['ports: [Agent]', /^4 ports\[0\]: must be 1 to 16 small letters/],
    ['ports: [console]', /^4 ports\[0\]: must be another name: every machine has its console/],
    ['ports: [out, out]', /^4 ports\[1\]: another port has this name: current value is out/],
    ['nics: virtio-net', /^4 nics: must be a list of network cards/],
    [`nics: [${'{},'.repeat(9)}]`, /^4 nics: must be at most 8 network cards/],
  ])('for %s', (text, message) => {
    // Goal: one problem, at the right line and place, with the reason and what to write instead.
    const found = problems(base + text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it.each([
    ['{ path: named.qcow2 }', /path: .*is named like a qcow2 image.*qemu-img convert -O raw named/],
    ['{ path: hidden.raw }', /path: .*is a qcow2 image. only raw images can be mirrored/],
    ['{ path: none.qcow2 }', /path: .*is named like a qcow2 image/],
    ['{ path: none.raw }', /path: cannot be read: ENOENT/],
    ['{ path: short.raw }', /path: must have a size that is a multiple of 512.* has 3 bytes/],
    ['{ path: directory }', /path: must be a regular file/],
    ['{ path: "" }', /path: must be the path of a raw disk image/],
    ['{ path: root.raw, size: 2M }', /size: .*root.raw has 1048576 bytes/],
    ['{ format: qcow2 }', /format: must be raw: current value is qcow2.*Convert it/],
    ['{ bus: sata }', /bus: must be virtio: current value is sata. IDE, AHCI and SATA/],
    ['{ bus: scsi }', /bus: must be virtio: current value is scsi. only virtio disks/],
    ['{ id: net0 }', /id: must be another id: net and a number/],
    ['{ id: Root }', /id: must be 1 to 16 small letters/],
    ['{ size: 1000 }', /size: must be a multiple of 512 bytes/],
    ['{ readOnly: maybe }', /readOnly: must be true or false/],
    ['{ cache: none }', /cache: not possible: the storage daemon decides/],
    ['{ pth: root.raw }', /pth: unknown key: did you mean 'path'\?$/],
  ])('for a disk %s', (text, message) => {
    // Goal: as above, for every way in which a disk can be wrong.
    const found = problems(`name: a\nmemory: 32M\ndisks:\n  - {}\n  - ${text}\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^5 disks\[1\]\./);
    expect(found[0]).toMatch(message);
  });

  it.each([
    ['128', /at least 32M \(a number without a unit is in bytes\): current value is 128 bytes/],
    ['16M', /at least 32M: current value is 16777216 bytes/],
    ['33M', /a multiple of 2M: current value is 34603008 bytes/],
    ['65G', /at most 64G/],
    ['lots', /a size such as 128M or 1G: current value is lots/],
    ['-5', /a size such as 128M or 1G: current value is -5/],
    ['[1]', /a size such as 128M or 1G: current value is \[1\]/],
  ])('for memory: %s', (text, message) => {
    // Goal: no size is rounded or guessed.
    const found = problems(`name: a\nmemory: ${text}\ndisks: [{}]\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('for things that are there twice', () => {
    // Goal: equal ids, images and addresses are found, also against defaults.
    const text = `
name: a
memory: 32M
disks:
  - { id: d1, path: root.raw }
  - { path: root.raw }
nics:
  - mac: 52:54:00:00:00:0a
  - mac: 52:54:00:00:00:0A
`;
    expect(problems(text)).toEqual([
      '6 disks[1].id: another disk has this id: current value is d1',
      '6 disks[1].path: another disk has this image: current value is root.raw',
      '9 nics[1].mac: another card has this address: current value is 52:54:00:00:00:0a',
    ]);
  });

  it('with all its problems at once, in the order of the file', () => {
    // Goal: one run of the editor is enough, whatever combination is wrong.
    const text = `name: 7up
memori: 128M
smp: 4
disks:
  - path: named.qcow2
    id: x
  - id: x
    bus: ide
nics:
  - model: rtl8139
`;
    expect(problems(text).map((problem) => problem.replace(/:.*/, ''))).toEqual([
      '1 name',
      '1 memory',
      '2 memori',
      '3 smp',
      '5 disks[0].path',
      '7 disks[1].id',
      '8 disks[1].bus',
      '10 nics[0].model',
    ]);
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: 'config', hint: 'see docs/vm-file.md' }),
    );
    expect(() => parse(text)).toThrow(
      /^VM file 'vm.yaml' is not usable:\n {2}line 1, name: must be 1 to 32/,
    );
  });

  it.each([
    ['', /^1 : must be a mapping of keys/],
    ['- name: a', /^1 : must be a mapping of keys/],
    ['name: a\nname: b\n', /^2 : is not YAML: Map keys must be unique/],
    ['name: a\nmemory: [1\n', /^\d : is not YAML: /],
    [
      'a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n',
      /^1 : is not usable YAML: Excessive alias count/,
    ],
    [`#${'x'.repeat(300_000)}`, /^1 : has more than 262144 characters/],
  ])('that is no VM file at all: %.20s', (text, message) => {
    // Goal: syntax errors have a line, and no input makes the reader run away.
    expect(problems(text)[0]).toMatch(message);
  });

  it('when there is nothing to boot from', () => {
    // Goal: found before QEMU shows "No bootable device" to nobody.
    expect(problems('name: a\nmemory: 32M\n')).toEqual([
      '1 boot: there is no disk to boot from: add one to `disks`, or write `kernel` here',
    ]);
  });
});

describe('the fingerprint', () => {
  const text = `
name: a
memory: 32M
boot: { kernel: vmlinuz, append: quiet }
disks: [{ id: root, path: root.raw }]
nics: [{}]
`;
  const firmware = (): string => path.join(dir, 'data.raw');
  const fingerprint = (from: string, image: string = firmware()) =>
    vmFingerprint({ ...parse(from), firmware: image, isOwnFirmware: true });

  it('is the same for the same machine with other paths', async () => {
    // Goal: each node may keep its files where it likes.
    writeFileSync(path.join(dir, 'kernel-copy'), 'kernel');
    const moved = text.replace('vmlinuz', 'kernel-copy').replace('root.raw', 'data.raw');
    expect(await fingerprint(moved)).toBe(await fingerprint(text));
    expect(await fingerprint(`${text}qemu: /other/qemu\n`)).toBe(await fingerprint(text));
    expect(await fingerprint(text)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ['name: a', 'name: b'],
    ['32M', '34M'],
    ['append: quiet', 'append: loud'],
    ['kernel: vmlinuz', 'kernel: initrd.img'],
    ['kernel: vmlinuz', 'kernel: vmlinuz, initrd: initrd.img'],
    ['id: root', 'id: boot'],
    ['id: root', 'id: root, readOnly: true'],
    ['id: root', 'id: root, discard: false'],
    ['nics: [{}]', 'nics: [{}, {}]'],
    ['nics: [{}]', 'nics: [{ mac: 52:54:00:00:00:01 }]'],
    ['nics: [{}]', 'nics: [{}]\nports: [agent]'],
    ['nics: [{}]', 'nics: [{}]\ncpu: max'],
    ['nics: [{}]', 'nics: [{}]\nmachine: pc-i440fx-7.1'],
  ])('changes when %s becomes %s', async (from, to) => {
    // Goal: whatever the guest could notice makes the nodes refuse each other.
    expect(text).toContain(from);
    expect(await fingerprint(text.replace(from, to))).not.toBe(await fingerprint(text));
  });

  it('changes with the firmware', async () => {
    writeFileSync(path.join(dir, 'bios'), 'another');
    expect(await fingerprint(text, path.join(dir, 'bios'))).not.toBe(await fingerprint(text));
  });
});
