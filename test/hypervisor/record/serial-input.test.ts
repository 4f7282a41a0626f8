// The port holds 16 bytes at most, and a recording QEMU does not know what is on its way to it:
// what is typed is given byte by byte, each when the one before has arrived.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SerialInput } from '../../../src/hypervisor/record/serial-input.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A QEMU that takes what it is given when it is told to. */
class Qemu {
  given = '';
  untaken = 0;
  pushes = 0;
  readonly input = new SerialInput({ pipe: this, pushLog: () => this.pushes++ });

  give(bytes: Buffer): void {
    this.given += bytes.toString();
    this.untaken += bytes.length;
  }
}

test('a byte is given when the log has the one before', () => {
  const qemu = new Qemu();
  void qemu.input.type(Buffer.from('ab'));
  void qemu.input.type(Buffer.from('c'));
  expect(qemu.given).toBe('a');
  vi.advanceTimersByTime(10_000);
  expect(qemu).toMatchObject({ given: 'a', pushes: 0 }); // the port is full
  qemu.untaken = 0;
  vi.advanceTimersByTime(100);
  expect(qemu).toMatchObject({ given: 'a', pushes: 1 });
  qemu.input.delivered(1);
  expect(qemu.given).toBe('ab');
  qemu.input.delivered(0);
  expect(qemu.given).toBe('ab');
  qemu.input.delivered(1);
  expect(qemu.given).toBe('abc');
});

test('who types waits until all was given, or nobody takes it any more', async () => {
  const qemu = new Qemu();
  let typed = 0;
  const count = (): unknown => typed++;
  void qemu.input.type(Buffer.from('ab')).then(count);
  await vi.advanceTimersByTimeAsync(1);
  expect(typed).toBe(0);
  qemu.input.delivered(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(typed).toBe(1);
  void qemu.input.type(Buffer.from('cd')).then(count);
  qemu.input.close();
  void qemu.input.type(Buffer.from('e')).then(count);
  await vi.advanceTimersByTimeAsync(1);
  expect(typed).toBe(3);
  expect(qemu.given).toBe('ab');
});
