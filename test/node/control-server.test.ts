// The control socket must obey its owner, survive nonsense, and let nobody else in.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { ConsoleHub } from '../../src/node/console-hub.ts';
import { ControlServer, type NodeStatus } from '../../src/node/control-server.ts';
import { type Comparison, Reporter } from '../../src/node/report.ts';
import { askNode, watchNode } from '../../src/observe/control-client.ts';
import { scratchDir } from './scratch.ts';

const socketPath = path.join(scratchDir(), 'control');
const status: NodeStatus = {
  node: 'a',
  pair: 'web',
  role: 'primary',
  state: 'protected',
  term: 3,
  pid: 42,
};

describe('the control socket', () => {
  let server: ControlServer;
  let hub: ConsoleHub;
  let reporter: Reporter;
  let verify: () => Promise<Comparison>;
  let stops: number;
  const clients: net.Socket[] = [];

  beforeEach(async () => {
    hub = new ConsoleHub();
    reporter = new Reporter();
    verify = () => Promise.resolve({ equal: true, differences: [] });
    stops = 0;
    server = await ControlServer.start({
      path: socketPath,
      status: () => status,
      drill: () => undefined,
      verify: () => verify(),
      takeSnapshot: (label) => Promise.resolve(`kept ${label}`),
      stop: () => {
        stops += 1;
      },
      console: hub,
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
      ...{ path: dead, console: hub, reporter, verify },
      drill: () => undefined,
      status: () => status,
      takeSnapshot: () => Promise.resolve('id'),
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
    expect(refused).toEqual({ ok: false, error: 'nothing to compare' });
    const taken = await askNode(socketPath, 'snapshot', { label: 'before the upgrade' });
    expect(taken).toEqual({ ok: true, snapshot: 'kept before the upgrade' });
    expect(await askNode(socketPath, 'stop')).toEqual({ ok: true });
    expect(stops).toBe(1);
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
    hub.onInput((bytes) => typed.push(bytes));
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
});
