// A vCPU must be woken again and again, one wake at a time, and never by a chip that refuses.
import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { VcpuWake } from '../../../src/hypervisor/qemu/vcpu-wake.ts';

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

it('the chip is told to be read, once for each answer', () => {
  const qtest = new FakeQtest();
  const flash = new VcpuWake(qtest);
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
  const flash = new VcpuWake(qtest);
  flash.wake();
  qtest.says('FAIL Unknown command\n');
  flash.wake();
  expect(qtest.written).toHaveLength(1);
});
