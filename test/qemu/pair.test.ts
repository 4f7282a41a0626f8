// Two nodes, and everything that can happen to one of them while the guest works. Each test says
// who may speak, what the clients of the guest see, and what must not be left behind.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { judge } from '../../src/lab/judge.ts';
import type { LoadStats } from '../../src/lab/load-record.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { askNode } from '../../src/observe/control-client.ts';
import { DurableLogReader } from '../../src/restore/durable-log.ts';
import { runVerb } from '../cli/run.ts';
import { PairUnderTest } from './harness/pair.ts';
import { bootMs, waitFor, waitForCount } from './harness/wait.ts';

let pair: PairUnderTest;
/** How many events of each node there were before the test. */
let before: ReadonlyMap<string, number> = new Map();

/** Runs a verb of the command line; returns what it printed. Throws when it failed. */
async function understudy(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runVerb(args);
  if (code !== 0) throw new Error(`understudy ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** Events of a node since the test began. */
const types = (name: string): string[] =>
  pair
    .events(name)
    .slice(before.get(name))
    .map(({ type }) => type);

/** Reboots the guest from its console and waits until it answers again. */
async function reboot(node: NodeProcess): Promise<void> {
  const terminal = await pair.console(node);
  await terminal.run('true');
  const from = terminal.text.length;
  await terminal.type('reboot -f');
  await terminal.until('understudy-guest ready', bootMs, from);
  await waitFor('the guest', () => pair.read('/read'));
}

describe('a pair for each', () => {
  beforeEach(async () => {
    pair = await PairUnderTest.open();
    before = new Map();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(pair.logs());
    await pair.close();
  });

  test('the primary is killed while it seeds', async () => {
    pair.configure((file) => {
      file.seedBandwidth = '10MB/s'; // so that there is a while
    });
    const a = await pair.booted();
    const termsBefore = pair.terms();
    const b = pair.start('b');
    await pair.seen(b, 'seeding');
    const discarded = b.next((event): event is typeof event => event.type === 'replicaDiscarded');
    await a.killWithMachine();
    await discarded;

    // It waits for a primary again, with nothing of the copy left, and claims nothing.
    await waitFor('node b to wait for a primary', async () => {
      const { role, state } = await b.status();
      return role === 'starting' || state === 'connecting' ? true : undefined;
    });
    await waitFor(
      'the processes of node a to end',
      () => pair.leftOf('a').length === 0 || undefined,
    );
    await waitFor('the copy of node b to end', () => pair.leftOf('b').length === 0 || undefined);
    expect(pair.terms()).toEqual(termsBefore);
    expect(types('b')).not.toContain('takeover');
    expect(b.isRunning).toBe(true);
  });

  test('no output leaves before its acknowledgement', async () => {
    // The backup is silent for long: it shall not be taken for lost.
    pair.configure((file) => {
      file.silenceMs = 60_000;
    });
    const { a, b } = await pair.protect();
    const stats: LoadStats[] = [];
    const load = pair.load((latest) => stats.push(latest));
    const answered = () => stats.at(-1)?.requestsOk ?? 0;
    const moreStats = (count: number): Promise<void> =>
      waitForCount('statistics', () => stats.length, stats.length + count);
    await waitForCount('answers', answered, 21);

    const release = await pair.freeze(b);
    // Acknowledgements that were on their way arrive, however long that takes here; then none
    // comes.
    const answers = () => [stats.at(-1)?.requestsOk, stats.at(-1)?.echoLines] as const;
    let silent: ReturnType<typeof answers>;
    do {
      silent = answers();
      await moreStats(3);
    } while (answers().some((count, kind) => count !== silent[kind]));
    await moreStats(6);
    expect(answers()).toEqual(silent);
    expect((await a.status()).state).toBe('protected');

    await release();
    await waitForCount('answers again', answered, (silent[0] ?? 0) + 51);
    expect((await a.status()).state).toBe('protected');
    const record = await load.stop();
    expect(record.failures).toEqual([]);
    expect(record.requestsFailed).toBe(0);
    expect(record.echo?.lost).toBe(0);
    expect(types('b')).not.toContain('replicaDiscarded');
  });

  test('acknowledgements wait for the disk, and what was acknowledged is on it', async () => {
    const dir = fs.mkdtempSync('/var/tmp/understudy-qemu-test-'); // on a disk, unlike /tmp here and there
    try {
      pair.configure((file) => {
        file.ack = 'durable';
        for (const node of Object.values(file.nodes)) node.durableLogDir = dir;
      });
      const { a, b } = await pair.protect();
      let answered = 0;
      const load = pair.load((latest) => {
        answered = latest.requestsOk;
      });
      await waitForCount('answers', () => answered, 201);
      await a.killWithMachine();
      await b.until('alone');
      await waitFor('answers after the takeover', () => pair.read('/read'));
      const record = await load.stop();
      expect(record.failures).toEqual([]);
      expect(record.requestsFailed).toBe(0);
      expect(record.echo?.lost).toBe(0);

      const file = fs.readdirSync(dir).find((name) => name.endsWith('-b.durable-log')) ?? '';
      const reader = new DurableLogReader(path.join(dir, file));
      let records = 0;
      while (reader.read() !== undefined) records += 1;
      // A takeover takes two: one to prove itself in, one to speak in.
      expect(reader.base.term).toBe((await b.status()).term - 2);
      expect(records).toBeGreaterThan(50);
      await reader.close();
    } finally {
      fs.rmSync(dir, { recursive: true, force: true });
    }
  });

  test('the guest reboots, and again after a takeover', async () => {
    const { a, b } = await pair.protect();
    await reboot(a);
    // The copy executed the reboot and the boot, too: it is the same one as before, and equal.
    expect(await askNode(a.control, 'verify')).toMatchObject({ ok: true, equal: true });
    expect(types('a').filter((type) => type === 'seeded')).toHaveLength(1);
    for (const name of ['a', 'b']) {
      expect(types(name)).not.toContain('takeover');
      expect(types(name)).not.toContain('replicaDiscarded');
    }
    await a.killWithMachine();
    await pair.seen(b, 'alone');
    await reboot(b);
  });
});

// A boot and a seed take longer than most of these. After one that failed the next gets a new pair.
describe('one pair for all, which each finds protected by node a', () => {
  let shared: PairUnderTest | undefined;
  const close = async (): Promise<void> => {
    const open = shared;
    shared = undefined;
    await open?.close();
  };
  const nodes = () => ({ a: pair.node('a'), b: pair.node('b') });

  beforeEach(async () => {
    if (shared === undefined) {
      shared = await PairUnderTest.open();
      await shared.protect();
    }
    pair = shared;
    if (!pair.node('b').isRunning) pair.start('b');
    await pair.protectedBy(pair.node('a'), pair.node('b'));
    before = new Map(['a', 'b'].map((name) => [name, pair.events(name).length]));
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    console.log(pair.logs());
    await close();
  });
  afterAll(close);

  test('the guest prints faster than its console is read', async () => {
    const { a, b } = nodes();
    const terminal = await pair.console(a);
    for (let round = 0; round < 10; round += 1) await terminal.run('ls -l /proc | head -n 60');
    expect(await askNode(a.control, 'verify')).toMatchObject({ ok: true, equal: true });
    expect(types('b')).not.toContain('replicaDiscarded');
    expect((await b.status()).state).toBe('protecting');
  });

  test('the backup is killed', async () => {
    const { a, b } = nodes();
    const inPair = await a.status();
    let stats: LoadStats | undefined;
    const load = pair.load((latest) => {
      stats = latest;
    });
    const answered = () => stats?.requestsOk ?? 0;
    await waitForCount('answers', answered, 21);
    await b.killWithMachine();
    await a.until('alone');
    const alone = await a.status();
    expect(alone.role).toBe('primary');
    expect(alone.term).toBe(inPair.term + 1);
    const atLoss = answered();
    await waitForCount('answers without a backup', answered, atLoss + 21);
    await waitFor(
      'the processes of node b to end',
      () => pair.leftOf('b').length === 0 || undefined,
    );

    const again = pair.start('b');
    await pair.protectedBy(a, again);
    const atReturn = answered();
    await waitForCount('answers with a backup', answered, atReturn + 21);
    const record = await load.stop();
    expect(record.failures).toEqual([]);
    expect(record.requestsFailed).toBe(0);
    expect(types('b')).not.toContain('takeover');
  });

  test('the machine is handed over on purpose, and back again', async () => {
    const { a, b } = nodes();
    let stats: LoadStats | undefined;
    const load = pair.load((latest) => {
      stats = latest;
    });
    const answered = (): number => stats?.requestsOk ?? 0;
    await waitForCount('answers', answered, 21);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const report = await understudy('drill', '--pair', pair.stage.pairFile, '--json');
      expect(JSON.parse(report)).toMatchObject({ from: from.name, to: to.name, killed: false });
      const after = answered();
      await waitForCount('answers after the drill', answered, after + 21);
      // The node that handed over is the backup now, without a person.
      await pair.protectedBy(to, from);
    }
    const record = await load.stop();
    const verdict = judge({
      ledger: await pair.read('/ledger'),
      journal: await pair.read('/counter.log'),
      load: record,
      seen: { seenText: '' },
    });
    expect(verdict.findings).toEqual([]);
    expect(verdict.failures).toEqual([]);
    expect(await understudy('stop', '--pair', pair.stage.pairFile, '--name', 'b')).toContain(
      'ended',
    );
    expect(await understudy('status', '--pair', pair.stage.pairFile)).toContain('a: primary');
  });

  test('the guest powers off', async () => {
    const { a, b } = nodes();
    const terminal = await pair.console(a);
    await terminal.run('true');
    await terminal.type('poweroff -f');
    expect(await Promise.all([a.exited, b.exited])).toEqual([0, 0]);
    for (const name of ['a', 'b']) {
      expect(types(name)).not.toContain('takeover');
      expect(pair.leftOf(name)).toEqual([]);
    }
  });
});
