// What a machine that runs here is made of, with a real storage daemon: one that ends is followed
// by another one on the same sockets, one that hangs is found out, and QEMU's own word for a disk
// that fails makes the machine hurt until it goes on for a while.
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Storage } from '../../../src/hypervisor/disks/storage.ts';
import type { LiveMachine } from '../../../src/hypervisor/machine-parts.ts';
import type { QmpEvent } from '../../../src/hypervisor/qemu/monitor.ts';
import { MachineWatch } from '../../../src/node/machine/machine-watch.ts';
import type { MachineReport } from '../../../src/ports/machine.ts';
import { hangMs } from '../../time.ts';
import { scratchDir } from '../scratch.ts';

const scratch = scratchDir();
let watch: MachineWatch;
let storages: Storage[];
let image: string;
let reports: MachineReport[];
const changes = new EventEmitter();
/** Of a QEMU that tells what the test says. */
let tell: (event: QmpEvent) => void;
let recorder: { failure: string | undefined };

beforeEach(async () => {
  const dir = fs.mkdtempSync(path.join(scratch, 's'));
  image = path.join(dir, 'image');
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 1024 * 1024);
  const storage = await Storage.start({
    ...{ dir: `${dir}/storage`, pidDir: dir },
    disks: [{ id: 'data', path: image, readOnly: false }],
  });
  storages = [storage];
  reports = [];
  const monitor = {
    onEvent: (listener: (event: QmpEvent) => void) => {
      tell = listener;
      return () => undefined;
    },
    execute: async () => ({ status: 'io-error', running: false }),
  };
  const instance = { monitor, process: { pid: process.pid }, answer: async () => undefined };
  recorder = Object.assign({ failure: undefined }, { instance, throttle: { share: 0 } });
  watch = new MachineWatch({
    parts: { recorder, storage, ramFile: `${dir}/ram` } as unknown as LiveMachine,
    report: (report) => {
      reports.push(report);
      changes.emit('report');
    },
    onStorage: (next) => storages.push(next),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
});
afterEach(async () => {
  watch.close();
  for (const storage of storages) await storage.kill();
});

async function until(type: MachineReport['type']): Promise<MachineReport> {
  const signal = AbortSignal.timeout(hangMs);
  for (;;) {
    const found = reports.find((report) => report.type === type);
    if (found !== undefined) return found;
    await once(changes, 'report', { signal });
  }
}

const answers = async (socket: string): Promise<string> => {
  const client = net.connect(socket);
  const [bytes] = (await once(client, 'data')) as [Buffer];
  client.destroy();
  return bytes.toString('latin1', 0, 8);
};

test('a storage daemon that ends is followed by another one', async () => {
  const [first] = storages as [Storage];
  process.kill(first.pid, 'SIGKILL');
  const hurt = await until('hurt');
  const reason = expect.stringMatching(/storage daemon has ended \(signal SIGKILL\)/);
  expect(hurt).toEqual({ type: 'hurt', reason, stands: false });
  await until('healed');
  expect(storages).toHaveLength(2);
  expect(storages[1]?.pid).not.toBe(first.pid);
  expect(await answers(first.nbdSocket)).toBe('NBDMAGIC');
});

test('a storage daemon that hangs is found out, and is not when it goes on', async () => {
  const [{ pid }] = storages as [Storage];
  process.kill(pid, 'SIGSTOP');
  expect(await until('hurt')).toMatchObject({ stands: false });
  process.kill(pid, 'SIGCONT');
  await until('healed');
  expect(storages).toHaveLength(1);
});

test('sockets that were lost are there again, and nobody is hurt', async () => {
  const [{ nbdSocket }] = storages as [Storage];
  fs.rmSync(nbdSocket);
  watch.renewStorage();
  const signal = AbortSignal.timeout(hangMs);
  while (storages.length === 1) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await answers(nbdSocket)).toBe('NBDMAGIC');
  expect(reports).toEqual([]);
});

test('a disk that fails makes the machine stand, until it goes on for a while', async () => {
  const data = { device: 'data', operation: 'write', action: 'stop', reason: 'No space left' };
  tell({ event: 'BLOCK_IO_ERROR', data });
  const reason = `a write of disk 'data' failed (No space left): '${image}'`;
  expect(reports).toEqual([{ type: 'hurt', reason, stands: true }]);
  expect(recorder.failure).toBe(reason);
  tell({ event: 'RESUME' });
  tell({ event: 'BLOCK_IO_ERROR', data });
  tell({ event: 'RESUME' });
  await until('healed');
  expect(reports).toHaveLength(2);
});

test('no room for the log hurts, and is over when there is some', () => {
  watch.room(true);
  watch.room(false);
  watch.room(true);
  expect(reports.map(({ type }) => type)).toEqual(['hurt', 'healed']);
});
