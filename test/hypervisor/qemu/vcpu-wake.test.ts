// A vCPU must be woken again and again, one wake at a time, and never by a chip that refuses.
import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import { FlashWake, TraceWake, vcpuWakeOf } from '../../../src/hypervisor/qemu/vcpu-wake.ts';

/** QEMU's end of the socket is `said`. */
class FakeQtest extends EventEmitter {
  readonly written: string[] = [];

  write(text: string): boolean {
    this.written.push(text);
    return true;
  }

  says(text: string): void {
    this.emit('data', Buffer.from(text));
  }
}

it('releases whose trace events have no vCPU are woken by the flash chip', () => {
  expect([vcpuWakeOf('7.2'), vcpuWakeOf('10.0')]).toEqual(['trace', 'flash']);
});

it('the chip is told to be read, once for each answer', () => {
  const qtest = new FakeQtest();
  const flash = new FlashWake(qtest);
  flash.wake();
  flash.wake();
  expect(qtest.written).toEqual(['writeb 0xfffffff0 0xff\n']);
  qtest.says('O');
  flash.wake();
  expect(qtest.written).toHaveLength(1);
  qtest.says('K\n');
  flash.wake();
  expect(qtest.written).toHaveLength(2);
});

it('a QEMU that refuses the write is never told again', () => {
  const qtest = new FakeQtest();
  const flash = new FlashWake(qtest);
  flash.wake();
  qtest.says('FAIL Unknown command\n');
  flash.wake();
  expect(qtest.written).toHaveLength(1);
});

it('the trace event is switched on and off by turns, one command at a time', async () => {
  const answers: (() => void)[] = [];
  const enabled: unknown[] = [];
  const execute = vi.fn((_: string, event: { enable?: unknown } = {}) => {
    enabled.push(event.enable);
    return new Promise<never>((_resolve, reject) => {
      answers.push(() => reject(new Error('gone')));
    });
  });
  const trace = new TraceWake({ execute });
  trace.wake();
  trace.wake();
  answers[0]?.();
  await vi.waitFor(() => {
    trace.wake();
    expect(enabled).toEqual([true, false]);
  });
});
