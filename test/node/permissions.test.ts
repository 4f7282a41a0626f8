// What a node keeps is for its user alone, whatever umask it was started with, and whoever was
// there first.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { term } from '../../src/base/units.ts';
import { makeFifo } from '../../src/host/libc.ts';
import { writePidFile } from '../../src/host/pid-files.ts';
import { createRamFile } from '../../src/hypervisor/memory/ram.ts';
import { RamShadow } from '../../src/hypervisor/memory/ram-shadow.ts';
import { ControlServer } from '../../src/node/control-server.ts';
import { SerialPorts } from '../../src/node/machine/serial-ports.ts';
import { createSecretFile } from '../../src/node/pair-file/secret-file.ts';
import { Reporter } from '../../src/node/report.ts';
import { claimRunDir } from '../../src/node/run-dir.ts';
import { SeedRemains } from '../../src/node/seeding/remains.ts';
import { SeedReceiver } from '../../src/node/seeding/seed-receiver.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const modeOf = (file: string): string => (fs.lstatSync(file).mode & 0o777).toString(8);
let umask: number;

beforeAll(() => {
  umask = process.umask(0);
});
afterAll(() => void process.umask(umask));

describe('with a umask of 0, for the owner only is', () => {
  it('the run directory, also one that was open to all, and what is in it', async () => {
    const open = at('run');
    fs.mkdirSync(open, { mode: 0o777 });
    const run = claimRunDir(open);
    expect([modeOf(open), modeOf(path.join(open, 'node.pid'))]).toEqual(['700', '600']);
    const pid = writePidFile(run.pids, 'x', process.pid, 'x');
    expect([modeOf(run.pids), modeOf(pid)]).toEqual(['700', '600']);
    const control = await ControlServer.start({
      path: run.control,
      status: () => ({
        node: 'a',
        pair: 'p',
        role: 'backup',
        state: '',
        term: 0,
        qemu: '7.2.22',
        concerns: [],
        arbiter: 'file:/terms',
        pid: 1,
      }),
      verify: () => Promise.resolve({ equal: true, differences: [] }),
      takeSnapshot: () => Promise.resolve({ snapshot: 'id' }),
      line: () => Promise.reject(new Error('unused')),
      removeSnapshot: () => Promise.resolve(),
      collectSnapshots: () => Promise.resolve({ freedBytes: 0, chunks: 0, logPieces: 0 }),
      drill: () => Promise.resolve(),
      stop: () => undefined,
      serials: new SerialPorts([]),
      reporter: new Reporter(),
    });
    expect(modeOf(run.control)).toBe('600');
    control.close();
  });

  it('the RAM, and its copy where an older one was open to all', () => {
    createRamFile(at('ram'), 4096);
    fs.writeFileSync(at('ram.seed'), 'old', { mode: 0o666 });
    const shadow = new RamShadow(at('ram'), at('ram.seed'), 4096);
    expect([modeOf(at('ram')), modeOf(at('ram.seed'))]).toEqual(['600', '600']);
    shadow.close();
  });

  it('a log on its way to a replayer', () => {
    makeFifo(at('fifo'));
    expect(modeOf(at('fifo'))).toBe('600');
  });

  it('what a seed brings, also where an older image was open to all', () => {
    for (const old of ['old', 'x'.repeat(512)]) {
      fs.writeFileSync(at('image'), old);
      fs.chmodSync(at('image'), 0o666);
      const receiver = new SeedReceiver({
        begin: {
          ...{ type: 'seedBegin', seedId: 's', ramBytes: 4096 },
          disks: [{ id: 'd0', bytes: 512 }],
        },
        ramFile: at('seeded.ram'),
        diskImages: { d0: at('image') },
        remains: new SeedRemains(),
      });
      expect([modeOf(at('seeded.ram')), modeOf(at('image'))]).toEqual(['600', '600']);
      receiver.close();
    }
  });

  it('the terms of the arbiter', async () => {
    const arbiter = new FileArbiter({ directory: at('terms') });
    await arbiter.setUp();
    await arbiter.compareAndSet(undefined, { term: term(1), holder: 'a' });
    await arbiter.close();
    const kept = fs.readdirSync(at('terms'));
    expect(kept).toHaveLength(2);
    const modes = kept.map((name) => modeOf(path.join(at('terms'), name)));
    expect([modeOf(at('terms')), ...modes]).toEqual(['700', '600', '600']);
  });

  it('a new secret', () => {
    createSecretFile(at('secret'));
    expect(modeOf(at('secret'))).toBe('600');
  });
});

describe('a run directory that somebody else was first to make', () => {
  it.skipIf(process.getuid?.() !== 0)('belongs to another user: refused', () => {
    fs.mkdirSync(at('theirs'));
    fs.chownSync(at('theirs'), 65_534, 65_534);
    expect(() => claimRunDir(at('theirs'))).toThrow('it belongs to user 65534');
  });

  it('is a symbolic link: refused', () => {
    fs.mkdirSync(at('aim'));
    fs.symlinkSync(at('aim'), at('link'));
    expect(() => claimRunDir(at('link'))).toThrow('it is a symbolic link');
    expect(fs.readdirSync(at('aim'))).toEqual([]);
  });

  it('has files of somebody in it: refused, and they stay', () => {
    fs.mkdirSync(at('home'));
    fs.writeFileSync(at('home/thesis.txt'), 'mine');
    expect(() => claimRunDir(at('home'))).toThrow(
      /other files in it \(thesis\.txt\), and all would/,
    );
    expect(fs.readdirSync(at('home'))).toEqual(['thesis.txt']);
  });
});
