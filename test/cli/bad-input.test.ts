// Whatever an operator gets wrong is said once, clearly, with an exit code: the table "Bad input,
// and what is said" of docs/errors.md. Each case here is a row there, and starts the real program.
// None of them gets as far as a machine; QEMU is a script that only tells its version.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { formatIdentity, newIdentity } from '../../src/arbiter/identity.ts';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import { tryLock } from '../../src/host/libc.ts';
import { processStartTime } from '../../src/host/pid-files.ts';
import { lockImage } from '../../src/hypervisor/disks/image-lock.ts';
import { SeedRemains } from '../../src/node/seeding/remains.ts';
import { SeedReceiver } from '../../src/node/seeding/seed-receiver.ts';
import { hasOpenssl } from '../arbiter/certificates.ts';
import { fullResults } from '../bench/fixture.ts';
import { writeFakeQemu } from '../doubles/fake-qemu.ts';
import { makeCertificates } from '../node/openssl.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';
import { type Ended, program, root, runVerb } from './run.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const isRoot = process.getuid?.() === 0;
const errorsPage = fs.readFileSync(path.join(root, 'docs/errors.md'), 'utf8');

const script = (name: string, text: string): void => {
  fs.writeFileSync(at(name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
};
const vm = (more = ''): string => `name: bad\nmemory: 32M\nqemu: ${at('qemu')}\n${more}`;
const kernel = 'boot: { kernel: kernel }\n';

interface Pair {
  readonly vm?: string;
  readonly arbiter?: string;
  readonly a?: string;
  /** Of node a. */
  readonly stateDir?: string;
  readonly listen?: readonly [string, string];
  readonly more?: string;
}

let files = 0;

/** Writes both files of a pair that is well but for what is given; returns the pair file. */
function pair(options: Pair): string {
  files += 1;
  const n = files;
  const [a, b] = options.listen ?? [`ws://127.0.0.1:${freePort}`, 'ws://127.0.0.1:9'];
  fs.writeFileSync(at(`vm${n}.yaml`), options.vm ?? vm(kernel));
  fs.writeFileSync(
    at(`pair${n}.yaml`),
    `pair: bad
vm: vm${n}.yaml
arbiter: '${options.arbiter ?? `file:${at(`terms${n}`)}`}'
${options.more ?? ''}
nodes:
  a: { listen: '${a}', stateDir: ${options.stateDir ?? `s${n}`}, ${options.a ?? `runDir: r${n}`} }
  b: { listen: '${b}', runDir: rb }
`,
  );
  return at(`pair${n}.yaml`);
}

const run = (args: readonly string[], as: readonly string[] = []) =>
  runVerb(args, { timeout: hangMs, env: { NO_COLOR: '1', UNDERSTUDY_LOG: 'silent' }, as });

const node = (file: string, name = 'a'): string[] => ['node', '--pair', file, '--name', name];
/**
 * Node a with more in its VM file, and more said of it in the pair file. It gets a term of an
 * arbiter, and listens for a while, on a port of its own.
 */
function booting(more: string, a: string): string[] {
  const port = bootPorts.shift();
  const terms = at(`terms-of-${port}`);
  fs.mkdirSync(terms);
  fs.writeFileSync(path.join(terms, 'identity'), formatIdentity(newIdentity()));
  const listen = [`ws://127.0.0.1:${port}`, 'ws://127.0.0.1:9'] as const;
  return node(pair({ vm: vm(`${kernel}${more}\n`), a, listen, arbiter: `file:${terms}` }));
}

let occupied: net.Server;
let occupiedPort = 0;
let freePort = 0;
/** One for each node that boots. */
let bootPorts: number[] = [];

beforeAll(async () => {
  fs.writeFileSync(at('bios-256k.bin'), 'firmware');
  writeFakeQemu(at('qemu'));
  writeFakeQemu(at('bare-qemu'), { dataDir: at('home') });
  writeFakeQemu(at('old-qemu'), { version: '6.2.0' });
  writeFakeQemu(at('later-qemu'), { version: '10.0.2', releases: ['10.0', '7.2'] });
  writeFakeQemu(at('new-qemu'), { version: '12.0.0' });
  script('no-qemu', 'echo "Hello, I am no hypervisor"');
  fs.writeFileSync(at('kernel'), 'x'.repeat(5000));
  fs.writeFileSync(at('secret'), `${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 });
  fs.writeFileSync(at('open-secret'), `${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o644 });
  fs.writeFileSync(at('short-secret'), 'hunter2\n', { mode: 0o600 });
  fs.mkdirSync(at('used'));
  fs.writeFileSync(at('used/node.pid'), `${process.pid} ${processStartTime(process.pid)}`);
  fs.mkdirSync(at('home'));
  fs.writeFileSync(at('home/thesis'), 'mine');
  fs.mkdirSync(at('torn'));
  fs.writeFileSync(at('torn/term-0000000000000001'), '{"understudy":"te');
  if (hasOpenssl()) makeCertificates(dir);
  occupied = net.createServer();
  const free = Array.from({ length: 4 }, () => net.createServer());
  for (const server of [occupied, ...free]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
  const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;
  occupiedPort = portOf(occupied);
  [freePort = 0, ...bootPorts] = free.map(portOf);
  for (const server of free) await new Promise((resolve) => server.close(resolve));
});

afterAll(() => {
  occupied.close();
});

interface BadInput {
  /** The row in docs/errors.md. */
  readonly row: string;
  readonly code: number;
  readonly args: () => string[];
  /** In this order in what is printed. */
  readonly says: readonly string[];
  readonly needs?: boolean;
}

const wss = ['wss://127.0.0.1:9', 'wss://127.0.0.1:10'] as const;
const certificates = (a: string): Pair => ({
  listen: wss,
  more: 'tls: { ca: ca.pem, cert: a.pem, key: a.key }',
  a: `runDir: rt, tls: ${a}`,
});

/** Arguments of `run` on a host that has what it needs. */
const runImage = (image: string, ...options: string[]): string[] => {
  const out = ['--out', at('made'), '--guest', bootingGuest()];
  return ['run', image, '--as', 'web', ...out, ...options];
};

/** The same of `exec`. */
const execute = (...options: string[]): string[] => [
  ...['exec', '--guest', bootingGuest(), ...options, '--', 'true'],
];

function bootingGuest(): string {
  fs.mkdirSync(at('guest'), { recursive: true });
  for (const name of ['vmlinuz', 'container.img']) fs.writeFileSync(at(`guest/${name}`), 'x');
  fs.writeFileSync(at('guest/guest.json'), '{"append":"","containerAppend":""}');
  return at('guest');
}

const cases: readonly BadInput[] = [
  {
    row: 'image for `run` that is none, is damaged, is for another machine, or leads out of its root',
    code: 2,
    needs: isRoot,
    args: () => runImage(at('no-image')),
    says: ["Cannot read the image '", 'because: ENOENT', 'try: give a file or a directory'],
  },
  {
    row: 'option of a container engine that is not possible for `run`',
    code: 2,
    args: () => runImage(at('kernel'), '--privileged', '--cpus', '2'),
    says: ['Not possible:', '--privileged: the command has', '--cpus: a machine is limited'],
  },
  {
    row: '`exec` without a command, or with an unknown option',
    code: 125,
    args: () => ['exec', '--tries', '2'],
    says: ["error: missing required argument 'command'", '--help'],
  },
  {
    row: '`exec` without a command, or with an unknown option',
    code: 125,
    args: () => execute('--evry', '2s'),
    says: ["error: unknown option '--evry'", 'Did you mean --every?'],
  },
  {
    row: '`--every`, `--tries` or `--memory` of `exec` out of range',
    code: 125,
    args: () => execute('--every', '100ms'),
    says: ['--every must be a time such as 5s, from 500ms to 24h', "current value is '100ms'"],
  },
  {
    row: '`--every`, `--tries` or `--memory` of `exec` out of range',
    code: 125,
    args: () => execute('--tries', '0'),
    says: ['--tries must be a whole number from 1 to 16', "current value is '0'", 'try: 1 runs'],
  },
  {
    row: '`--every`, `--tries` or `--memory` of `exec` out of range',
    code: 125,
    args: () => execute('--memory', '8M'),
    says: ['--memory: must be at least 32M'],
  },
  {
    row: '`--in` of `exec` that cannot be read',
    code: 125,
    args: () => execute('--in', at('no-input')),
    says: [
      `Cannot read '${at('no-input')}' for the command`,
      'because: ENOENT',
      'try: name a file',
    ],
  },
  {
    row: 'standard input of `exec` that is too long',
    code: 125,
    args: () => {
      fs.writeFileSync(at('long'), '');
      fs.truncateSync(at('long'), 17 * 1024 ** 2);
      return execute('--in', at('long'));
    },
    says: [`'${at('long')}' is more than the 16 MiB that a command can get`, 'try: put it into'],
  },
  {
    row: '`--keep` of `exec` that is not empty',
    code: 125,
    args: () => execute('--in', '/dev/null', '--keep', at('home')),
    says: [`'${at('home')}' is not empty: there is 'thesis' in it`, 'new directory with --keep'],
  },
  {
    row: '`--root` of `exec` that is no image',
    code: 125,
    needs: isRoot,
    args: () => execute('--in', '/dev/null', '--root', at('no-image')),
    says: ["Cannot read the image '", 'because: ENOENT'],
  },
  {
    row: 'no kernel for `run`',
    code: 3,
    args: () => runImage(at('kernel'), '--guest', at('nowhere')),
    says: [
      `There is no guest image in '${at('nowhere')}'`,
      'because: ENOENT',
      'try: run scripts/setup',
    ],
  },
  {
    row: 'results of a benchmark that are not there',
    code: 2,
    args: () => ['bench', 'report', at('nowhere.json')],
    says: [at('nowhere.json'), 'try: give a file that `understudy bench` wrote'],
  },
  {
    row: 'results of a benchmark in another format',
    code: 2,
    args: () => {
      fs.writeFileSync(at('old.json'), '{"format":0}');
      return ['bench', 'compare', at('old.json'), at('old.json')];
    },
    says: [at('old.json'), 'their format is 0, and this version reads 1'],
  },
  {
    row: 'README without the markers for the table of figures',
    code: 2,
    args: () => {
      fs.writeFileSync(at('results.json'), JSON.stringify(fullResults()));
      fs.writeFileSync(at('README.md'), 'nothing here');
      return ['bench', 'report', at('results.json'), '--readme', at('README.md')];
    },
    says: ["'<!-- bench-table -->' is missing"],
  },
  {
    row: 'folder for the results that cannot be written',
    code: 3,
    args: () => ['bench', '--quick', '--out', '/dev/null/results'],
    says: ["Cannot write to '/dev/null/results'", 'try: give another folder with --out'],
  },
  {
    row: 'pair file is no YAML',
    code: 2,
    args: () => {
      fs.writeFileSync(at('no.yaml'), 'pair: [');
      return node(at('no.yaml'));
    },
    says: ['Pair file', 'is not usable', 'try: see docs/pair-file.md'],
  },
  {
    row: 'pair file has an unknown key',
    code: 2,
    args: () => node(pair({ more: 'epochMS: 7\nepochMs: 0' })),
    says: [
      'epochMs: must be a number from 1 to 1000: current value is 0',
      "did you mean 'epochMs'?",
    ],
  },
  {
    row: 'VM file is not there',
    code: 2,
    args: () => {
      const file = pair({});
      fs.rmSync(file.replace('pair', 'vm'));
      return node(file);
    },
    says: ['Cannot read', 'because: ENOENT'],
  },
  {
    row: 'VM file has an unknown key',
    code: 2,
    args: () => node(pair({ vm: 'name: x\nmemori: 32M\n' })),
    says: ["memori: unknown key: did you mean 'memory'?"],
  },
  {
    row: 'kernel, initial RAM disk or image of the VM file is not there',
    code: 2,
    args: () => node(pair({ vm: vm('boot: { kernel: nowhere }\n') })),
    says: ['boot.kernel: cannot be read: ENOENT'],
  },
  {
    row: 'disk without an image on this node',
    code: 2,
    args: () => node(pair({ vm: vm(`${kernel}disks: [{ id: root }]\n`) })),
    says: ["Node 'a' has no image for 'root'", 'try: add it under nodes.a.disks'],
  },
  {
    row: 'disk image in the pair file that is of another format, no file, or of an odd size',
    code: 2,
    args: () => {
      const fixedVhd = Buffer.alloc(1024 * 1024 + 512);
      fixedVhd.write('conectix', fixedVhd.length - 512);
      fs.writeFileSync(at('fixed.raw'), fixedVhd);
      fs.writeFileSync(at('odd.raw'), 'a letter');
      const disks = 'disks: [{ id: d0 }, { id: d1 }, { id: d2 }]';
      return node(
        pair({
          vm: vm(`${kernel}${disks}\n`),
          a: 'runDir: untouched, disks: { d0: fixed.raw, d1: odd.raw, d2: used }',
        }),
      );
    },
    says: [
      "A disk image of node 'a' is not usable",
      `nodes.a.disks.d0: ${at('fixed.raw')} is a vhd image`,
      'Convert it: qemu-img convert -O raw -f vpc fixed.raw fixed.converted.raw',
      `nodes.a.disks.d1: must have a size that is a multiple of 512 bytes`,
      `nodes.a.disks.d2: must be a regular file: ${at('used')} is none`,
      "write 'raw:' before its path",
    ],
  },
  {
    row: 'disk image that another program uses',
    code: 1,
    args: () => {
      fs.writeFileSync(at('busy.raw'), Buffer.alloc(4096));
      lockImage(at('busy.raw'), 'write'); // until this process ends
      fs.symlinkSync('busy.raw', at('other-name.raw'));
      return node(
        pair({
          vm: vm(`${kernel}disks: [{ id: d0 }]\n`),
          a: 'runDir: untouched, disks: { d0: other-name.raw }',
        }),
      );
    },
    says: [
      `Disk image '${at('other-name.raw')}' is used by another program`,
      `(process ${process.pid})`,
      'try: end what uses it, or name another image',
    ],
  },
  {
    row: 'disk image of both nodes of one host, or of two disks, whatever it is called',
    code: 2,
    args: () => {
      fs.writeFileSync(at('data.raw'), Buffer.alloc(4096));
      fs.symlinkSync('data.raw', at('link.raw'));
      fs.linkSync(at('data.raw'), at('hard.raw'));
      const file = pair({ a: 'runDir: untouched, disks: { d0: ./data.raw, d1: hard.raw }' });
      const text = fs.readFileSync(file, 'utf8').replace('rb }', 'rb, disks: { d0: link.raw } }');
      fs.writeFileSync(file, text);
      return node(file);
    },
    says: [
      "nodes.a.disks.d1: 'hard.raw' is the image of disk 'd0' already",
      "both have the disk image './data.raw', which is 'link.raw' too",
    ],
  },
  {
    row: 'with `ack: durable`, a `durableLogDir` in memory',
    code: 2,
    args: () => node(pair({ a: 'runDir: rd, durableLogDir: /dev/shm', more: 'ack: durable' })),
    says: ['would lie in memory', "'/dev/shm'", 'try: set durableLogDir'],
  },
  {
    row: 'serial port that the machine does not have, for `console`',
    code: 2,
    args: () => {
      const file = pair({ vm: vm(`${kernel}ports: [agent]\n`) });
      return ['console', '--pair', file, '--name', 'a', '--port', 'agnt'];
    },
    says: ["no serial port 'agnt'", 'try: its ports are console, agent'],
  },
  {
    row: '`copyTo` that is the store, lies in it or has it in it, by its name',
    code: 2,
    args: () => node(pair({ more: 'snapshots: { store: kept, copyTo: kept/copies }' })),
    says: ['snapshots.copyTo: lies in the store', `current value is "${at('kept/copies')}"`],
  },
  {
    row: '`copyTo` that is the store by a link, is no directory, has other files in it, or is a store of another version',
    code: 2,
    args: () => {
      fs.mkdirSync(at('kept'));
      fs.symlinkSync(at('kept'), at('linked'));
      return node(pair({ a: 'runDir: rc', more: 'snapshots: { store: kept, copyTo: linked }' }));
    },
    says: ["'copyTo' is the store itself", at('linked'), 'try: name a directory on another disk'],
  },
  {
    row: 'watchdog that may restore without snapshots, with a bound out of range, or that watches for nothing',
    code: 2,
    args: () => node(pair({ more: 'watchdog: { action: restore, silence: 60s }' })),
    says: [
      'watchdog.action: restore needs snapshots to go back to',
      'or `action: tell`: current value is "restore"',
      'try: see docs/pair-file.md',
    ],
  },
  {
    row: 'watchdog whose `silence` is longer than `keep` reaches back',
    code: 2,
    args: () => {
      const snapshots = 'snapshots: { store: kept, every: 1s, keep: { last: 30 } }';
      return node(pair({ more: `${snapshots}\nwatchdog: { action: restore, silence: 60s }` }));
    },
    says: ['watchdog.silence: after 60 s no snapshot from before is left', 'keep more'],
  },
  {
    row: 'egress that is none',
    code: 2,
    args: () => node(pair({ a: "runDir: re, egress: 'tip:us0'" })),
    says: ["'tip:us0'", 'try:'],
  },
  {
    row: 'list of egresses for another number of cards',
    code: 2,
    args: () => node(pair({ a: "runDir: re2, egress: ['none', 'none']" })),
    says: ["it has 0 network cards, and 'egress' lists 2", 'try: list one egress for each'],
  },
  {
    row: 'plain link off loopback',
    code: 2,
    args: () => node(pair({ listen: ['ws://10.0.0.1:1', 'ws://10.0.0.2:1'] })),
    says: ['nodes.a.listen: ws:// is for loopback addresses only', 'write wss://'],
  },
  {
    row: '`wss` without a secret or certificates',
    code: 2,
    args: () => node(pair({ listen: wss })),
    says: ['needs a shared secret or certificates'],
  },
  {
    row: 'secret file is not there',
    code: 2,
    args: () => node(pair({ more: 'security: { secretFile: nowhere }' })),
    says: ['Cannot read shared secret', 'because: ENOENT', 'try: make one with: understudy secret'],
  },
  {
    row: 'secret or private key that others may read',
    code: 2,
    args: () => node(pair({ more: 'security: { secretFile: open-secret }' })),
    says: ['Others may read or change shared secret', 'its mode is 0644', 'try: run: chmod 600'],
  },
  {
    row: 'secret too short, or not random',
    code: 2,
    args: () => node(pair({ more: 'security: { secretFile: short-secret }' })),
    says: ['is too short: it has 7 bytes, at least 32 are needed', 'try: make one with'],
  },
  {
    row: '`understudy secret` for a file that exists',
    code: 2,
    args: () => ['secret', at('secret')],
    says: ['Cannot make secret file', 'it exists', 'try: remove it first'],
  },
  {
    row: 'certificate that is no certificate',
    code: 2,
    needs: hasOpenssl(),
    args: () => node(pair(certificates('{ cert: kernel }'))),
    says: ['there is no PEM certificate in it', 'try: see docs/security.md'],
  },
  {
    row: 'private key of another certificate',
    code: 2,
    needs: hasOpenssl(),
    args: () => node(pair(certificates('{ key: b.key }'))),
    says: ['is not the key of certificate', 'try: name the key'],
  },
  {
    row: 'certificate for another address',
    code: 2,
    needs: hasOpenssl(),
    args: () =>
      node(pair({ ...certificates('{}'), listen: ['wss://127.0.0.9:9', 'wss://127.0.0.1:9'] })),
    says: ["is not for '127.0.0.9'", 'it is for IP Address:127.0.0.1', 'try: make one with'],
  },
  {
    row: 'address that this host does not have',
    code: 2,
    args: () =>
      node(
        pair({
          listen: ['wss://192.0.2.7:7001', 'wss://192.0.2.8:7001'],
          more: 'security: { secretFile: secret }',
        }),
      ),
    says: ['Cannot listen on 192.0.2.7:7001: it is not of this host', 'EADDRNOTAVAIL', 'try:'],
  },
  {
    row: 'port in use',
    code: 3,
    args: () => node(pair({ listen: [`ws://127.0.0.1:${occupiedPort}`, 'ws://127.0.0.1:9'] })),
    says: ['the port is in use', 'EADDRINUSE', 'try: Stop the program that uses it'],
  },
  {
    row: 'run directory with a path too long',
    code: 2,
    args: () => node(pair({ a: `runDir: ${'x'.repeat(70)}` })),
    says: ['is too long for unix sockets', 'at most 66', 'try: give a shorter runDir'],
  },
  {
    row: 'run directory with other files in it',
    code: 2,
    args: () => node(pair({ a: 'runDir: home' })),
    says: ['there are other files in it (thesis)', 'try: set runDir to a directory for this node'],
  },
  {
    row: 'run directory of a node that runs',
    code: 3,
    args: () => node(pair({ a: 'runDir: used' })),
    says: [`is used by node process ${process.pid}`, 'try: stop that node first'],
  },
  {
    row: 'run directory that cannot be made',
    code: 3,
    args: () => node(pair({ a: 'runDir: kernel/x' })),
    says: ['Cannot create run directory', 'because: ENOTDIR', 'try: set runDir'],
  },
  {
    row: 'disk image that is not there, on the node that is to boot',
    code: 1,
    args: () => booting('disks: [{ id: root }]', 'runDir: ri, disks: { root: gone.raw }'),
    says: ['Cannot read disk image', 'because: ENOENT', 'try: create it'],
  },
  {
    row: 'bridge, namespace or socket of an egress that is not there, on the node that is to boot',
    code: 3,
    args: () => booting('nics: [{}]', "runDir: rn, egress: 'tap:us0,bridge=nowhere0'"),
    says: ["there is no bridge 'nowhere0'", 'try: run: ip link add nowhere0 type bridge'],
  },
  {
    row: 'bridge, namespace or socket of an egress that is not there, on the node that is to boot',
    code: 3,
    args: () => booting('nics: [{}]', `runDir: rs, egress: 'stream:${at('no-passt')}'`),
    says: ['there is no socket', 'no-passt', 'try: start the program that listens there'],
  },
  {
    row: 'QEMU is not there',
    code: 3,
    args: () => node(pair({ vm: vm(kernel).replace('/qemu', '/nowhere') })),
    says: ["Cannot run '", 'because: ', 'try: run scripts/setup, or set qemu'],
  },
  {
    row: 'QEMU that is too old or too new, or no QEMU',
    code: 3,
    args: () => node(pair({ vm: vm(kernel).replace('/qemu', '/old-qemu') })),
    says: ['is QEMU 6.2.0: at least 7.2 is needed', 'try: install a newer one'],
  },
  {
    row: 'QEMU that is too old or too new, or no QEMU',
    code: 3,
    args: () => node(pair({ vm: vm(kernel).replace('/qemu', '/new-qemu') })),
    says: [
      'is QEMU 12.0.0: the event log of releases after 11.x is not known',
      'try: use QEMU 7.2 to 11.x',
    ],
  },
  {
    row: 'QEMU that is too old or too new, or no QEMU',
    code: 3,
    args: () => node(pair({ vm: vm(kernel).replace('/qemu', '/no-qemu') })),
    says: ['is not QEMU: --version says "Hello', 'try: set qemu in the VM file'],
  },
  {
    row: 'machine type that QEMU does not have',
    code: 2,
    args: () => node(pair({ vm: vm(`${kernel}machine: pc-i440fx-9.9\n`) })),
    says: ["has no machine 'pc-i440fx-9.9'", '-machine help'],
  },
  {
    row: '`upgradeFrom` that cannot be gone on from',
    code: 2,
    args: () => node(pair({ vm: vm(`${kernel}upgradeFrom: ${at('later-qemu')}\n`) })),
    says: ['No machine goes back from QEMU 10.0.2 to 7.2.22', 'try: set qemu'],
  },
  {
    row: '`upgradeFrom` that cannot be gone on from',
    code: 2,
    args: () =>
      node(
        pair({
          vm: `${vm(kernel)}upgradeFrom: ${at('qemu')}\n`.replace('/qemu\n', '/later-qemu\n'),
        }),
      ),
    says: ["of upgradeFrom has no machine 'pc-i440fx-10.0'", 'machine: pc-i440fx-7.2'],
  },
  {
    row: 'QEMU that is too old or too new, or no QEMU',
    code: 3,
    args: () => node(pair({ vm: vm(`${kernel}upgradeFrom: /nowhere/qemu\n`) })),
    says: ["Cannot run '/nowhere/qemu'"],
  },
  {
    row: 'QEMU without its firmware',
    code: 3,
    args: () => node(pair({ vm: vm(kernel).replace('/qemu', '/bare-qemu') })),
    says: ["firmware 'bios-256k.bin' is not there", 'because: looked in', 'install the package'],
  },
  {
    row: 'arbiter directory cannot be had',
    code: 1,
    args: () => node(pair({ arbiter: 'file:kernel' })),
    says: ['Cannot read the arbiter in', 'because: ENOTDIR', 'try: '],
  },
  {
    row: 'relative `file:` path of an arbiter for two hosts',
    code: 2,
    args: () => {
      const listen = ['wss://10.0.0.1:7001', 'wss://10.0.0.2:7001'] as const;
      const more = 'security: { secretFile: secret }';
      return node(pair({ arbiter: 'file:terms', listen, more }));
    },
    says: ['arbiter: a relative path is another directory on each host', 'current value is "file:'],
  },
  {
    row: 'damaged term in the arbiter',
    code: 1,
    args: () => node(pair({ arbiter: 'file:torn' })),
    says: ['Cannot read term 1 from', 'try: Stop both nodes'],
  },
  {
    row: 'directory of pair files that is not there',
    code: 2,
    args: () => ['host', '--dir', at('nowhere')],
    says: [at('nowhere'), 'because: ENOENT', 'try: give the directory', '--dir'],
  },
  {
    row: 'second host for a directory of pair files',
    code: 3,
    args: () => {
      fs.mkdirSync(at('pairs'));
      tryLock(fs.openSync(at('pairs'), 'r'));
      return ['host', '--dir', at('pairs'), '--run-dir', at('rh')];
    },
    says: [`A host for '${at('pairs')}' runs already`, 'try: ', 'understudy host stop'],
  },
  {
    row: 'run directory of a host with a path too long',
    code: 2,
    args: () => ['host', '--dir', dir, '--run-dir', at('x'.repeat(100))],
    says: ['is too long for a unix socket', 'at most 107', 'try: give a shorter --run-dir'],
  },
  {
    row: 'host that does not run, for its other verbs',
    code: 1,
    args: () => ['host', 'restart', 'web', '--run-dir', at('rn')],
    says: [`No host answers on '${at('rn/control')}'`, 'because: ', 'try: start one'],
  },
  {
    row: 'event log that is none',
    code: 1,
    args: () => ['log', 'stat', at('kernel')],
    says: ['understudy: '],
  },
];

function expectEnded({ code, stderr }: Ended, wanted: Omit<BadInput, 'args' | 'row'>): void {
  expect(stderr).not.toMatch(/\n {4}at /); // a stack trace is a bug
  let from = 0;
  for (const words of wanted.says) {
    const found = stderr.indexOf(words, from);
    expect(found, `'${words}' in:\n${stderr}`).toBeGreaterThanOrEqual(0);
    from = found + 1;
  }
  expect(code, stderr).toBe(wanted.code);
}

function expectDocumented({ row, code }: Pick<BadInput, 'row' | 'code'>): void {
  const line = errorsPage.split('\n').find((text) => text.startsWith(`| ${row} |`));
  expect(line, `docs/errors.md has no row '${row}'`).toBeDefined();
  expect(line?.split('|')[3]?.trim(), `exit code of '${row}' in docs/errors.md`).toBe(String(code));
}

describe.concurrent('bad input: one clear message, and the exit code of the table', () => {
  it.each(cases.filter(({ needs }) => needs !== false))('$row', async (bad) => {
    expectDocumented(bad);
    expectEnded(await run(bad.args()), bad);
    expect(fs.existsSync(at('untouched'))).toBe(false);
  });
});

it.each([
  [
    'arbiter that does not answer',
    () => 'http://127.0.0.1:9',
    (arbiter: string) => `The witness at ${arbiter} (pair 'bad') does not answer`,
  ],
  [
    'arbiter directory that is not there',
    () => `file:${at('unmounted')}`,
    () => `The arbiter's directory '${at('unmounted')}' is not there`,
  ],
  [
    'arbiter that was never set up',
    () => `file:${at('home')}`,
    () => `The arbiter in '${at('home')}' was never set up for this pair`,
  ],
])('%s: the node waits and says so, until it is told to stop', async (row, where, message) => {
  const arbiter = where();
  const file = pair({ arbiter });
  const child = spawn(process.execPath, [...program, ...node(file)], { cwd: root });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await vi.waitUntil(() => log.includes('the arbiter gives no term'), { timeout: hangMs });
  const status = ['status', '--pair', file, '--name', 'a'];
  const says = (await run(status)).stdout;
  expect(says).toMatch(/^bad\/a: starting, waiting, term 0: the arbiter gives no term: /);
  expect(says).toContain(message(arbiter));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(log.split('the arbiter gives no term')).toHaveLength(2);
  expect(errorsPage).toContain(`| ${row} |`);
  expect(fs.existsSync(at('unmounted'))).toBe(false);
});

it('arbiter that is another one than the node knows', async () => {
  const file = pair({ arbiter: 'file:other-terms', a: 'runDir: rk', stateDir: 'known' });
  fs.mkdirSync(at('known'), { mode: 0o700 });
  const identity = 'f'.repeat(32);
  const line = { understudy: 'known-arbiter', version: 1, identity, tookPart: true };
  fs.writeFileSync(at('known/bad-a.arbiter.json'), JSON.stringify(line));
  expect((await run(['init', '--pair', file])).code).toBe(0);
  const ended = await run(node(file));
  expectDocumented({ row: 'arbiter that is another one than the node knows', code: 1 });
  const says = [`The arbiter in '${at('other-terms')}' is another one`, identity, 'try: Name the'];
  expectEnded(ended, { code: 1, says });
});

describe.skipIf(!isRoot)('as somebody with few rights', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

  it.each([
    [
      'file that may not be read',
      3,
      'security: { secretFile: secret }',
      'r',
      'Cannot read shared secret',
    ],
    ['run directory that cannot be made', 3, '', 'r', 'Cannot create run directory'],
  ])('%s', async (row, code, more, runDir, message) => {
    fs.chmodSync(dir, 0o755);
    const ended = await run(node(pair({ more, a: `runDir: ${runDir}` })), nobody);
    expectDocumented({ row, code });
    expectEnded(ended, { code, says: [message, 'because: EACCES', 'try: '] });
  });
});

describe.skipIf(!isRoot)('on a file system that is full', () => {
  const mounts: string[] = [];

  function tmpfs(options: string): string {
    const place = fs.mkdtempSync(at('full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place]);
    mounts.push(place);
    return place;
  }
  afterAll(() => {
    for (const place of mounts) execFileSync('umount', [place]);
  });

  it('run directory without room for the machine', async () => {
    const ended = await run(node(pair({ a: `runDir: ${tmpfs('size=1m')}/r` })));
    expectDocumented({ row: 'run directory without room for the machine', code: 3 });
    const says = ['has too little room: 0 MiB are free, 96 MiB are needed', 'try: free some'];
    expectEnded(ended, { code: 3, says });
  });

  it('run directory on a full file system', async () => {
    const ended = await run(node(pair({ a: `runDir: ${tmpfs('nr_inodes=1')}/r` })));
    expectDocumented({ row: 'run directory on a full file system', code: 3 });
    const says = ['Cannot create run directory', 'because: ENOSPC', 'try: free some room'];
    expectEnded(ended, { code: 3, says });
  });

  it('arbiter on a full file system', async () => {
    const file = pair({ arbiter: `file:${tmpfs('nr_inodes=2')}/terms` });
    const ended = await run(['init', '--pair', file]);
    expectDocumented({ row: 'arbiter on a full file system', code: 1 });
    expectEnded(ended, { code: 1, says: ['arbiter', 'because: ENOSPC', 'Free some disk space'] });
  });

  it('disk image on a full file system', () => {
    const image = path.join(tmpfs('size=64k'), 'd0.raw');
    const receiver = new SeedReceiver({
      begin: {
        ...{ type: 'seedBegin', seedId: 's', ramBytes: 4096 },
        disks: [{ id: 'd0', bytes: 1024 * 1024 }],
      },
      ramFile: at('seeded.ram'),
      diskImages: { d0: image },
      remains: new SeedRemains(),
    });
    const piece = { kind: 'blob', term: term(1), stream: 2, last: false } as const;
    const fill = (): void => {
      for (let offset = 0; offset < 1024 * 1024; offset += 65_536) {
        receiver.take({ ...piece, offset, payload: Buffer.alloc(65_536, 1) });
      }
    };
    expect(fill).toThrow(UnderstudyError);
    expect(fill).toThrow(`Cannot write '${image}' for the seed`);
    receiver.close();
  });
});
