// What people and systems do with a machine, and what must not harm its protection: it goes to
// sleep, somebody pastes into its console, it gives room on its disk back. One pair for all.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PairUnderTest } from './harness/pair.ts';
import type { Terminal } from './harness/terminal.ts';
import { answerMs, waitFor } from './harness/wait.ts';

let pair: PairUnderTest;
beforeAll(async () => {
  pair = await PairUnderTest.open();
  await pair.protect();
});
afterAll(async () => {
  console.log(pair.logs());
  await pair.close();
});

/** 4 KiB, in lines that a terminal takes. */
const pasted = Array.from({ length: 64 }, (_, line) => `${line}:`.padEnd(63, 'paste')).join('\n');
const digest = createHash('md5').update(`${pasted}\n`).digest('hex');

/** Pastes into a file of the guest. Every byte must be there, Enter and Ctrl-D included. */
async function paste(terminal: Terminal): Promise<void> {
  const from = terminal.text.length;
  await terminal.type("stty -echo; echo re''ady; cat > /tmp/pasted; stty echo");
  await terminal.until('\nready', answerMs, from);
  const ready = terminal.text.length;
  terminal.paste(`${pasted}\n\u0004`);
  await terminal.until('guest# ', answerMs, ready);
  expect(await terminal.run('md5sum < /tmp/pasted')).toContain(digest);
}

const diskBytes = (name: string): number =>
  512 * fs.statSync(path.join(pair.stage.dir, `data-${name}.raw`)).blocks;

test('a guest that sleeps is protected, and wakes by its console', async () => {
  const [a, b] = [pair.node('a'), pair.node('b')];
  const terminal = await pair.console(a);
  // S3 and S4 are not there: only sleep without the machine's help.
  expect(await terminal.run('cat /sys/power/mem_sleep')).toMatch(/\r\n\[s2idle\]\r\n/);
  expect(await terminal.run('dmesg | grep "supports S"')).toMatch(/supports S0 S5/);
  await terminal.run('echo enabled > /sys/class/tty/ttyS0/power/wakeup');
  const from = terminal.text.length;
  await terminal.type("echo go''ing; echo mem > /sys/power/state; echo awa''ke");
  await terminal.until('going', answerMs, from);
  expect(await pair.compare(a, b)).toEqual([]);
  expect(terminal.text.slice(from)).not.toContain('awake'); // it sleeps
  // A key that comes before it sleeps wakes nobody.
  const keys = setInterval(() => terminal.paste('\n'), 500);
  await terminal.until('awake', answerMs, from).finally(() => clearInterval(keys));
  expect(await pair.compare(a, b)).toEqual([]);
});

test('4 KiB pasted into the console arrive', async () => {
  await paste(await pair.console(pair.node('a')));
  expect(await pair.compare(pair.node('a'), pair.node('b'))).toEqual([]);
});

test('what the guest discards is free on both hosts', async () => {
  const [a, b] = [pair.node('a'), pair.node('b')];
  const terminal = await pair.console(a);
  await terminal.run('dd if=/dev/urandom of=/data/large bs=1M count=16 && sync');
  const mib = 2 ** 20;
  const before = await waitFor('the copy to write', () => {
    const both = { a: diskBytes('a'), b: diskBytes('b') };
    return Math.min(both.a, both.b) > 16 * mib ? both : undefined;
  });
  await terminal.run('rm /data/large && sync && fstrim /data');
  await waitFor('both images to shrink', () => {
    const freed = [before.a - diskBytes('a'), before.b - diskBytes('b')];
    return freed.every((bytes) => bytes > 12 * mib) || undefined;
  });
  expect(await pair.compare(a, b)).toEqual([]);
});

test('after all that the backup takes over, and is a machine like the first', async () => {
  const [a, b] = [pair.node('a'), pair.node('b')];
  expect(pair.events('b').map(({ type }) => type)).not.toContain('replicaDiscarded');
  await a.killWithMachine();
  await b.until('alone');
  const terminal = await pair.console(b);
  await paste(terminal);
  const before = diskBytes('b');
  await terminal.run('dd if=/dev/urandom of=/data/large bs=1M count=8 && sync');
  await terminal.run('rm /data/large && sync && fstrim /data');
  await waitFor('the image to shrink', () => diskBytes('b') < before + 2 * 2 ** 20 || undefined);
});
