// The control socket must obey its owner, survive nonsense, and let nobody else in.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { ControlServer, type NodeStatus } from '../../src/node/control-server.ts';
import { SerialPorts } from '../../src/node/machine/serial-ports.ts';
import { type Comparison, Reporter } from '../../src/node/report.ts';
import { askNode } from '../../src/observe/control-client.ts';
import { watchNode } from '../../src/observe/watch-node.ts';
import { scratchDir } from './scratch.ts';

const socketPath = path.join(scratchDir(), 'control');
const status: NodeStatus = {
  node: 'a',
  pair: 'web',
  role: 'primary',
  state: 'protected',
  term: 3,
  qemu: '7.2.22',
  concerns: [],
  arbiter: 'file:/terms',
  pid: 42,
};

const never = (): never => {
  throw new Error('there is none');
};

describe('the control socket', () => {
  let server: ControlServer;
  let serials: SerialPorts;
  let reporter: Reporter;
  let verify: () => Promise<Comparison>;
  let remove: (id: string) => Promise<void>;
  let stops: number;
  const clients: net.Socket[] = [];

  beforeEach(async () => {
    serials = new SerialPorts(['agent']);
    reporter = new Reporter();
    verify = () => Promise.resolve({ equal: true, differences: [] });
    remove = () => Promise.resolve();
    stops = 0;
    server = await ControlServer.start({
      path: socketPath,
      status: () => status,
      drill: () => Promise.resolve(),
      verify: () => verify(),
      takeSnapshot: (label) => Promise.resolve({ snapshot: `kept ${label}` }),
      line: (wish) => Promise.resolve(wish),
      removeSnapshot: (id) => remove(id),
      collectSnapshots: () => Promise.resolve({ freedBytes: 7, chunks: 2, logPieces: 1 }),
      stop: () => {
        stops += 1;
      },
      serials,
      reporter,
    });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    server.close();
  });

  /** A client that collects what it is told. */
  function connect() {
    const socket = net.connect(socketPath);
    clients.push(socket);
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
    });
    const until = async (expected: string): Promise<void> => {
      while (!text.includes(expected)) {
        await new Promise((resolve) => socket.once('data', resolve));
      }
    };
    return { socket, until, text: () => text };
  }

  it('is for its owner only', () => {
    expect(fs.statSync(socketPath).mode & 0o777).toBe(0o600);
  });

  it('killed node left its socket behind: the next one starts all the same', async () => {
    const dead = `${socketPath}2`;
    fs.writeFileSync(dead, '');
    const next = await ControlServer.start({
      ...{ path: dead, serials, reporter, verify },
      drill: () => Promise.resolve(),
      status: () => status,
      takeSnapshot: () => Promise.resolve({ snapshot: 'id' }),
      line: () => Promise.reject(new Error('unused')),
      removeSnapshot: (id) => remove(id),
      collectSnapshots: () => Promise.resolve({ freedBytes: 0, chunks: 0, logPieces: 0 }),
      stop: () => undefined,
    });
    expect(await askNode(dead, 'status')).toEqual(status);
    next.close();
  });

  it('answers status, verify and stop', async () => {
    expect(await askNode(socketPath, 'status')).toEqual(status);
    expect(await askNode(socketPath, 'verify')).toEqual({
      ok: true,
      equal: true,
      differences: [],
    });
    verify = () => Promise.reject(new UnderstudyError('cut', 'nothing to compare'));
    const refused = await askNode(socketPath, 'verify');
    expect(refused).toEqual({ ok: false, code: 'cut', error: 'nothing to compare' });
    const taken = await askNode(socketPath, 'snapshot', { label: 'before the upgrade' });
    expect(taken).toEqual({ ok: true, snapshot: 'kept before the upgrade' });
    expect(await askNode(socketPath, 'stop')).toEqual({ ok: true });
    expect(stops).toBe(1);
  });

  it('removes and collects; what is refused is refused with its code, causes and hint', async () => {
    const removed: string[] = [];
    remove = async (id) => void removed.push(id);
    expect(await askNode(socketPath, 'removeSnapshot', { snapshot: 'x1' })).toEqual({ ok: true });
    expect(removed).toEqual(['x1']);
    const collected = await askNode(socketPath, 'collectSnapshots');
    expect(collected).toEqual({ ok: true, freedBytes: 7, chunks: 2, logPieces: 1 });
    const cause = new Error('EROFS', { cause: new Error('the disk') });
    remove = () => Promise.reject(new UnderstudyError('rights', 'no', { hint: 'mount it', cause }));
    expect(await askNode(socketPath, 'removeSnapshot', { snapshot: 'x1' })).toEqual({
      ...{ ok: false, error: 'no', code: 'rights', hint: 'mount it' },
      because: ['EROFS', 'the disk'],
    });
  });

  it('unknown commands and garbage get an answer, and the next line is obeyed', async () => {
    const { socket, until, text } = connect();
    socket.write('{"command":"explode"}\nnot JSON\nnull\n{"command":7}\n');
    socket.write('{"command":"sta');
    socket.write('tus"}\n');
    await until('"protected"');
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines.slice(0, 4).every((line) => line.includes('unknown command'))).toBe(true);
    expect(JSON.parse(lines[4] as string)).toEqual(status);
  });

  it('endless line: the connection is closed, the server lives', async () => {
    const { socket } = connect();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('x'.repeat(10_000));
    await closed;
    expect(await askNode(socketPath, 'status')).toEqual(status);
  });

  it('watch: the status first, then what happens, until the node ends', async () => {
    const seen: string[] = [];
    const done = watchNode(socketPath).forEach((event) => {
      seen.push(event.type);
      if (event.type === 'status') reporter.report({ type: 'memory', rssBytes: 1 });
      if (event.type === 'memory') server.close();
    });
    await done;
    expect(seen).toEqual(['status', 'memory']);
  });

  it('console: raw bytes both ways, from the byte behind the command', async () => {
    const typed: Buffer[] = [];
    const [hub = never()] = serials.hubs;
    hub.onInput((bytes) => {
      typed.push(bytes);
      return Promise.resolve();
    });
    hub.output(Buffer.from('login: '));
    const { socket, until } = connect();
    socket.write(
      Buffer.concat([Buffer.from('{"command":"console"}\n'), Buffer.from([0xff, 0x0a])]),
    );
    await until('login: ');
    hub.output(Buffer.from('welcome'));
    await until('welcome');
    expect(Buffer.concat(typed)).toEqual(Buffer.from([0xff, 0x0a]));
    const left = new Promise((resolve) => socket.once('close', resolve));
    socket.end();
    await left;
    hub.output(Buffer.from('to nobody'));
  });

  it('console of another serial port, by its name; of one that is not there, what there is', async () => {
    const { socket, until, text } = connect();
    socket.write('{"command":"console","port":"agent"}\n');
    const given = new Promise<Buffer>((resolve) => {
      serials.named('agent')?.onInput((bytes) => {
        resolve(bytes);
        return Promise.resolve();
      });
    });
    socket.write('S 1\n');
    expect(String(await given)).toBe('S 1\n');
    serials.hubs[0]?.output(Buffer.from('login: '));
    serials.named('agent')?.output(Buffer.from('C 2 done'));
    await until('C 2 done');
    expect(text()).toBe('C 2 done');
    expect(await askNode(socketPath, 'console', { port: 'agnt' })).toEqual({
      ...{ ok: false, code: 'config', error: "The machine has no serial port 'agnt'" },
      hint: 'its ports are console, agent; `ports` of the VM file makes more',
    });
  });
});
