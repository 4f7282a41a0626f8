// Whatever takes the log of a node, or does not, the node goes on; and who reads it later sees what
// is missing, and where.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { makeFifo } from '../../src/host/libc.ts';
import { UnwaitingOutput } from '../../src/host/unwaiting-output.ts';
import { scratchDir } from '../node/scratch.ts';
import { hangMs } from '../time.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const options = {
  dropNotice: (dropped: number) => `${dropped} missing\n`,
  queuedBytesMax: 300_000,
};
const line = (number: number): string => `${number} ${'x'.repeat(90)}\n`;

function listenedTo(fd: number) {
  const output = new UnwaitingOutput(fd, options);
  const troubles: (string | undefined)[] = [];
  output.onTrouble((why) => troubles.push(why));
  return { output, troubles };
}

/** Every line is whole and in its place, and what is missing is counted there. */
function judge(text: string, lines: number): { missing: number } {
  let next = 0;
  let missing = 0;
  for (const found of text.split('\n').slice(0, -1)) {
    const dropped = /^(\d+) missing$/.exec(found)?.[1];
    if (dropped === undefined) {
      expect(`${found}\n`).toBe(line(next));
      next += 1;
    } else {
      next += Number(dropped);
      missing += Number(dropped);
    }
  }
  expect(next).toBe(lines);
  return { missing };
}

it('a reader that does not read holds nobody up; what was dropped is counted', async () => {
  makeFifo(at('fifo'));
  const reader = fs.openSync(at('fifo'), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  // As a shell gives it: it blocks.
  const { output, troubles } = listenedTo(fs.openSync(at('fifo'), 'w'));
  for (let number = 0; number < 10_000; number += 1) output.write(line(number));
  expect(troubles).toEqual(['nobody takes it']);
  let text = '';
  const buffer = Buffer.alloc(65_536);
  const read = (): void => {
    try {
      text += buffer.toString('latin1', 0, fs.readSync(reader, buffer));
    } catch {
      // nothing is there now
    }
  };
  const until = performance.now() + hangMs;
  while (troubles.length < 2 && performance.now() < until) {
    read();
    await sleep(5);
  }
  output.write(line(10_000));
  for (let piece = 0; piece < 10; piece += 1) read();
  expect(judge(text, 10_001).missing).toBeGreaterThan(1000);
  expect(troubles).toEqual(['nobody takes it', undefined]);
});

it('a socket that is not read, as that of a journal, holds nobody up', async () => {
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.pause();
    accepted.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(at('journal'), resolve));
  const client = net.connect(at('journal'));
  await new Promise((resolve) => client.once('connect', resolve));
  // biome-ignore lint/suspicious/noExplicitAny: Node has no other way to a socket's descriptor
  const { fd } = (client as any)._handle as { fd: number };
  const { output, troubles } = listenedTo(fd);
  for (let number = 0; number < 20_000; number += 1) output.write(line(number));
  expect(troubles).toEqual(['nobody takes it']);
  let text = '';
  const [socket] = accepted;
  socket?.setEncoding('latin1').on('data', (some: string) => {
    text += some;
  });
  socket?.resume();
  await output.flush(hangMs);
  client.end();
  await new Promise((resolve) => socket?.once('end', resolve));
  expect(judge(text, 20_000).missing).toBeGreaterThan(1000);
  server.close();
});

it('a disk that refuses is told of by its error, and holds nobody up', async () => {
  const { output, troubles } = listenedTo(fs.openSync('/dev/full', 'w'));
  output.write(line(0));
  expect(troubles).toEqual([expect.stringContaining('ENOSPC')]);
  await output.flush(50);
});

function mounted(name: string): string | undefined {
  fs.mkdirSync(at(name));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at(name)], {
      stdio: 'ignore',
    });
    return at(name);
  } catch {
    return undefined; // it takes root
  }
}

it('a file system that is full until room is made has all of what waited', async ({ skip }) => {
  const small = mounted('small');
  if (small === undefined) return skip();
  try {
    fs.writeFileSync(path.join(small, 'other'), Buffer.alloc(48 * 1024));
    const { output, troubles } = listenedTo(fs.openSync(path.join(small, 'log'), 'a'));
    for (let number = 0; number < 400; number += 1) output.write(line(number));
    const until = performance.now() + hangMs;
    while (troubles.length < 1 && performance.now() < until) await sleep(5);
    expect(troubles).toEqual([expect.stringContaining('ENOSPC')]);
    fs.rmSync(path.join(small, 'other'));
    await output.flush(hangMs);
    expect(troubles.at(-1)).toBeUndefined();
    expect(judge(fs.readFileSync(path.join(small, 'log'), 'latin1'), 400)).toEqual({ missing: 0 });
  } finally {
    execFileSync('umount', ['-l', small]);
  }
});
