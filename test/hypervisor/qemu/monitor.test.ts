/** The monitor: what it does with a QMP server that behaves, and with one that does not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Monitor, type QmpEvent } from '../../../src/hypervisor/qemu/monitor.ts';
import { OwnTime } from '../../time.ts';
import { makeRunDir, removeRunDir, startQemu, stopQemu } from '../real-qemu.ts';
import { type FakeQmp, fakeQmp } from './fake-qmp.ts';

let runDir: string;
let server: FakeQmp;
let monitor: Monitor;

const path = (): string => `${runDir}/qmp`;

beforeEach(() => {
  runDir = makeRunDir();
});
afterEach(async () => {
  await server?.close();
  removeRunDir(runDir);
});

describe('an established monitor', () => {
  beforeEach(async () => {
    server = await fakeQmp(path());
    monitor = await Monitor.connect({ path: path(), deadlineMs: 5000 });
  });
  afterEach(() => monitor.close());

  it('sends a command with its arguments and gives what it returns', async () => {
    // Goal: the plain case, on the wire as QMP wants it.
    const reply = monitor.execute<{ icount: number }>('query-replay', { verbose: true });
    const [command] = await server.received(1);
    expect(command).toMatchObject({ execute: 'query-replay', arguments: { verbose: true } });
    server.sendLines({ return: { icount: 7 }, id: command!.id });
    expect(await reply).toEqual({ icount: 7 });
  });

  it('matches replies by id, also out of order', async () => {
    // Goal: an answer can never be taken for that of another command.
    const replies = [monitor.execute('first'), monitor.execute('second')];
    const [first, second] = await server.received(2);
    server.sendLines({ return: 'two', id: second!.id }, { return: 'one', id: first!.id });
    expect(await Promise.all(replies)).toEqual(['one', 'two']);
  });

  it('puts a message together from chunks that split it anywhere', async () => {
    // Goal: chunk borders mean nothing, not even inside a character of several bytes.
    const reply = monitor.execute('query-name');
    const [command] = await server.received(1);
    const bytes = Buffer.from(
      `${JSON.stringify({ return: { name: 'Zoë ✓' }, id: command!.id })}\n`,
    );
    for (const byte of bytes) {
      server.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await reply).toEqual({ name: 'Zoë ✓' });
  });

  it('delivers events between replies of one chunk, with data and in order', async () => {
    // Goal: no event is lost or moved when much arrives at once.
    const events: QmpEvent[] = [];
    monitor.onEvent((event) => events.push(event));
    const replies = [monitor.execute('stop'), monitor.execute('cont')];
    const [stop, cont] = await server.received(2);
    server.sendLines(
      { event: 'STOP', timestamp: { seconds: 1, microseconds: 2 } },
      { return: {}, id: stop!.id },
      { event: 'JOB_STATUS_CHANGE', data: { id: 'j', status: 'concluded' } },
      { event: 'RESUME' },
      { return: {}, id: cont!.id },
    );
    await Promise.all(replies);
    expect(events.map(({ event }) => event)).toEqual(['STOP', 'JOB_STATUS_CHANGE', 'RESUME']);
    expect(events[1]?.data).toEqual({ id: 'j', status: 'concluded' });
  });

  it('stops telling a listener that does not want to know any more', async () => {
    // Goal: a removed listener gets nothing, the others still do.
    const seen: string[] = [];
    const stopListening = monitor.onEvent(() => {
      seen.push('once');
      stopListening();
    });
    monitor.onEvent(({ event }) => seen.push(event));
    const reply = monitor.execute('x');
    const [command] = await server.received(1);
    server.sendLines({ event: 'A' }, { event: 'B' }, { return: {}, id: command!.id });
    await reply;
    expect(seen).toEqual(['once', 'A', 'B']);
  });

  it('names the command and what QEMU said when it refuses', async () => {
    // Goal: the message is enough to know what was asked and why it was refused.
    const reply = monitor.execute('device_del', { id: 'gone' });
    const [command] = await server.received(1);
    const error = { class: 'DeviceNotFound', desc: "Device 'gone' not found" };
    server.sendLines({ error, id: command!.id });
    await expect(reply).rejects.toMatchObject({
      code: 'qemu',
      message: "QEMU refused 'device_del': DeviceNotFound: Device 'gone' not found",
    });
  });

  it('gives up at the deadline, drops the late answer and goes on', async () => {
    // Goal: a command that hangs neither blocks for ever nor spoils the next one.
    const late = monitor.execute('query-replay', {}, { deadlineMs: 20 });
    await expect(late).rejects.toMatchObject({
      code: 'monitor',
      message: "QEMU did not answer 'query-replay' within 20 ms",
    });
    const next = monitor.execute('query-status');
    const [first, second] = await server.received(2);
    server.sendLines({ return: 'late', id: first!.id }, { return: 'in time', id: second!.id });
    expect(await next).toBe('in time');
  });

  it('fails what waits when the connection drops, and everything after it at once', async () => {
    // Goal: nobody waits for an answer that cannot come.
    const waiting = [monitor.execute('stop'), monitor.execute('cont')];
    await server.received(2);
    server.send('{"return": {}, "i'); // dies in the middle of a message
    server.drop();
    for (const reply of waiting)
      await expect(reply).rejects.toThrow(/no connection to the monitor/);
    expect(await monitor.closed).toBeInstanceOf(Error);
    const time = new OwnTime();
    await expect(monitor.execute('query-status')).rejects.toThrow(/Cannot execute 'query-status'/);
    expect(time.end()).toBeLessThan(1000);
  });

  it('does not call it a drop when we close', async () => {
    // Goal: an orderly end is told apart from a loss, and ends what waits as well.
    const waiting = monitor.execute('stop');
    monitor.close();
    monitor.close();
    await expect(waiting).rejects.toThrow(/no connection to the monitor/);
    expect(await monitor.closed).toBeUndefined();
  });

  it.each([
    ['a line that is not JSON', 'qemu: terminating on signal 15\n'],
    ['JSON that is no message', '17\n'],
    ['null', 'null\n'],
    ['an answer without an id', '{"error": {"class": "GenericError", "desc": "JSON parse"}}\n'],
  ])('ends the connection at %s', async (_, text) => {
    // Goal: what is not QMP is never skipped in silence.
    const waiting = monitor.execute('stop');
    await server.received(1);
    server.send(text);
    await expect(waiting).rejects.toThrow(/no connection to the monitor/);
    expect(String(await monitor.closed)).toContain(text.trim().slice(0, 20));
  });

  it('ends the connection at a line without an end', async () => {
    // Goal: a peer that never ends its line does not fill our memory.
    server.send('{"event": "');
    for (let i = 0; i < 17; i += 1) server.send('x'.repeat(1024 * 1024));
    expect(String(await monitor.closed)).toContain('a line of more than');
  });
});

describe('connecting', () => {
  it('waits for a socket that is not there yet', async () => {
    // Goal: QEMU creates its socket some time after it was started.
    const connecting = Monitor.connect({ path: path(), deadlineMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    server = await fakeQmp(path());
    (await connecting).close();
  });

  it('names the socket and the reason when nobody comes', async () => {
    // Goal: the deadline holds, and the error is of use.
    const connecting = Monitor.connect({ path: path(), deadlineMs: 40 });
    await expect(connecting).rejects.toMatchObject({
      code: 'monitor',
      message: `Cannot connect to the monitor '${path()}' within 40 ms`,
      cause: { code: 'ENOENT' },
    });
  });

  it('does not wait for ever for a greeting', async () => {
    // Goal: a QEMU that hangs, or already has a client, accepts and says nothing.
    server = await fakeQmp(path(), { greet: false });
    const connecting = Monitor.connect({ path: path(), deadlineMs: 60 });
    await expect(connecting).rejects.toMatchObject({ code: 'monitor' });
  });

  it('fails at once when the connection ends before the greeting', async () => {
    // Goal: no wait for a deadline that is a minute away.
    server = await fakeQmp(path(), { greet: false });
    const connecting = Monitor.connect({ path: path(), deadlineMs: 60_000 });
    connecting.catch(() => undefined);
    const dropping = setInterval(() => server.drop(), 5);
    await expect(connecting).rejects.toMatchObject({ code: 'monitor' });
    clearInterval(dropping);
  });

  it('gives up when it is told to', async () => {
    // Goal: whoever sees QEMU die need not wait for the deadline.
    const abort = new AbortController();
    const { signal } = abort;
    const connecting = Monitor.connect({ path: path(), deadlineMs: 60_000, signal });
    setTimeout(() => abort.abort(new Error('QEMU died')), 10);
    await expect(connecting).rejects.toMatchObject({ cause: { message: 'QEMU died' } });
  });
});

it('speaks with a real QEMU', async () => {
  // Goal: greeting, commands, refusals, events and the end, as QEMU 7.2 really does them.
  const qemu = await startQemu(runDir, 'bare', ['-machine', 'none']);
  try {
    const events: string[] = [];
    qemu.monitor.onEvent(({ event }) => events.push(event));
    const status = await qemu.monitor.execute<{ running: boolean }>('query-status');
    expect(status.running).toBe(true);
    await expect(qemu.monitor.execute('no-such-command')).rejects.toThrow(
      "QEMU refused 'no-such-command': CommandNotFound: ",
    );
    await Promise.all([qemu.monitor.execute('stop'), qemu.monitor.execute('cont')]);
    expect(events).toEqual(['STOP', 'RESUME']);
    await qemu.child.kill('SIGKILL');
    expect(await qemu.monitor.closed).toBeInstanceOf(Error);
  } finally {
    await stopQemu(qemu);
  }
});
