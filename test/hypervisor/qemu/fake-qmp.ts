/** A QMP server of which a test decides every byte. */
import { rmSync } from 'node:fs';
import net from 'node:net';

interface Command {
  readonly execute: string;
  readonly arguments?: Record<string, unknown>;
  readonly id?: number;
}

export interface FakeQmp {
  readonly path: string;
  /** All commands but `qmp_capabilities`, in order of arrival. */
  readonly commands: Command[];
  /** Resolves when that many commands have arrived. */
  received(count: number): Promise<Command[]>;
  /** Sends raw text or bytes as one chunk. */
  send(data: string | Uint8Array): void;
  /** Sends messages, a line each, all in one chunk. */
  sendLines(...messages: object[]): void;
  drop(): void;
  close(): Promise<void>;
}

const greeting = { QMP: { version: { qemu: { major: 7 } }, capabilities: ['oob'] } };

/** `greet: false` accepts and says nothing; it then answers `qmp_capabilities` all the same. */
export async function fakeQmp(path: string, { greet = true } = {}): Promise<FakeQmp> {
  const commands: Command[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let socket: net.Socket | undefined;
  const send = (data: string | Uint8Array): void => {
    socket?.write(data);
  };
  const sendLines = (...messages: object[]): void =>
    send(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''));
  const server = net.createServer((connection) => {
    socket = connection;
    connection.setEncoding('utf8');
    connection.on('error', () => undefined);
    if (greet) sendLines(greeting);
    let rest = '';
    connection.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(JSON.parse(line) as Command);
    });
  });
  const take = (command: Command): void => {
    if (command.execute === 'qmp_capabilities') {
      sendLines({ return: {}, id: command.id });
      return;
    }
    commands.push(command);
    for (const { count, resolve } of waiting) if (commands.length >= count) resolve();
  };
  rmSync(path, { force: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    commands,
    received: async (count) => {
      if (commands.length < count) {
        await new Promise<void>((resolve) => waiting.push({ count, resolve }));
      }
      return commands;
    },
    send,
    sendLines,
    drop: () => socket?.destroy(),
    close: () => {
      socket?.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
