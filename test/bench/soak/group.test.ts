// The soak of groups without its machines: what it is called with, when it kills, what passes a
// relay, what journals together say, and what its figures promise.
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readArguments } from '../../../bench/soak/group/arguments.ts';
import { ControlRelay } from '../../../bench/soak/group/control-relay.ts';
import { type Journal, judge, parseJournal } from '../../../bench/soak/group/journal.ts';
import { type Kill, KillMoment, killPlan, type Passing } from '../../../bench/soak/group/steps.ts';
import {
  findingsOf,
  type SoakResult,
  summaryOf,
  summaryTable,
} from '../../../bench/soak/group/summary.ts';
import { askNode } from '../../../src/observe/control-client.ts';
import { scratchDirectory } from '../../store/rig.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const soak = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'bench/soak/run.ts', 'group', ...args], {
    cwd: root,
    encoding: 'utf8',
  });

describe('arguments', () => {
  test('all have a default, and kills are all of them', () => {
    expect(readArguments([])).toEqual({ sets: 20, members: 3, kills: 20, json: false });
    expect(readArguments(['--members', '2'])).toMatchObject({ kills: 15 });
  });

  test.each([
    [['--sets', '0'], '--sets must be a whole number from 1 to 10000'],
    [['--members', '7'], "--members must be a whole number from 2 to 6: current value is '7'"],
    [['--kills', '21'], '--kills must be a whole number from 0 to 20'],
    [['--every', '3'], "Unknown option '--every'"],
  ])('%j is refused', (args, message) => {
    expect(() => readArguments(args)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(message) }),
    );
  });

  test('the command says one error and ends with 2, and has help', () => {
    const wrong = soak('--sets', 'many', '--json');
    expect(wrong).toMatchObject({ status: 2, stdout: '' });
    expect(wrong.stderr).toContain('--sets must be a whole number from 1 to 10000');
    const help = soak('--help');
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toContain('npm run soak -- group [--sets N] [--members N]');
  });
});

describe('journals', () => {
  const of = (...texts: string[]): Journal[] => texts.map((text) => parseJournal(text));

  test('what is on its way belongs to nobody, and is not missing', () => {
    const found = judge(of('C 1\nS 1 1 5\nS 1 2 7\nR 1 1 3\n', 'C 0\nR 0 1 5\nS 0 1 3\n'));
    expect(found).toEqual({
      ...{ orphans: 0, lost: 0, doubled: 0, inTransit: 1, amiss: 0, received: 2 },
    });
  });

  test('received and not sent, or not so much of it, is an orphan, and makes money', () => {
    expect(judge(of('', 'R 0 1 5\n'))).toMatchObject({ orphans: 1, amiss: 5 });
    expect(judge(of('S 1 1 4\n', 'R 0 1 5\n'))).toMatchObject({ orphans: 1, amiss: 1 });
  });

  test('a gap is lost, and what came twice is doubled', () => {
    const sent = 'S 1 1 5\nS 1 2 7\n';
    expect(judge(of(sent, 'R 0 2 7\n'))).toMatchObject({ lost: 1, orphans: 0 });
    expect(judge(of(sent, 'R 0 1 5\nR 0 1 5\n'))).toMatchObject({ doubled: 1, amiss: 5 });
  });

  test('a torn last line was not written, and anything else is no journal', () => {
    expect(parseJournal('B 1\nS 1 1')).toMatchObject({ sent: [], broken: 1 });
    expect(() => parseJournal('S 1 x 3\n')).toThrow(/no line of a journal/);
  });
});

describe('a kill', () => {
  const passings = (members: number): Passing[] =>
    (['snapshot', 'line', 'passed', 'open', 'opened'] as const).flatMap((what) =>
      [...Array(members).keys()].map((member) => ({ member, what })),
    );
  /** At which passing it strikes. */
  const strikesAt = (kill: Kill): Passing[] => {
    const moment = new KillMoment(kill, 3);
    return passings(3).filter((passing) => moment.take(passing));
  };

  test('each of the plan has one moment', () => {
    const plan = killPlan(3);
    expect(plan).toHaveLength(20);
    for (const kill of plan) expect(strikesAt(kill)).toHaveLength(1);
  });

  test('of the coordinator comes when all have passed, and of one `open` when it is said', () => {
    const at = (step: Kill['step']) => strikesAt({ step, victim: 'coordinator' });
    expect(at('passed')).toEqual([{ member: 2, what: 'passed' }]);
    expect(at('open')).toEqual([{ member: 0, what: 'open' }]);
    expect(at('stored')).toEqual([{ member: 2, what: 'opened' }]);
  });

  test('of a primary comes when it was asked or has answered itself', () => {
    expect(strikesAt({ step: 'line', victim: 1 })).toEqual([{ member: 1, what: 'line' }]);
    expect(strikesAt({ step: 'stored', victim: 1 })).toEqual([{ member: 2, what: 'opened' }]);
  });
});

test('a relay hands on what is said, and sees the steps of a set pass', async () => {
  const dir = scratchDirectory();
  const target = path.join(dir, 'node');
  const node = net.createServer((socket) => {
    socket.on('data', (bytes) => {
      const { command } = JSON.parse(bytes.toString()) as { command: string };
      socket.write(`${JSON.stringify({ ok: command !== 'open', heard: command })}\n`);
    });
  });
  await new Promise<void>((resolve) => node.listen(target, resolve));
  const seen: string[] = [];
  const at = path.join(dir, 'relay', 'control');
  const relay = await ControlRelay.open(at, target, (what) => seen.push(what));
  try {
    for (const command of ['status', 'snapshot', 'line', 'open']) {
      expect(await askNode(at, command)).toMatchObject({ heard: command });
    }
    expect(seen).toEqual(['snapshot', 'line', 'passed', 'open']);
  } finally {
    relay.close();
    await new Promise((resolve) => node.close(resolve));
  }
});

describe('figures', () => {
  const well = judge([parseJournal('S 1 1 5\n'), parseJournal('R 0 1 5\n')]);
  const orphaned = judge([parseJournal('C 1\n'), parseJournal('R 0 1 5\n')]);
  const [one, more] = ['S 1 1 5\n', 'S 1 1 5\nS 1 2 6\n'].map((sent) => [
    parseJournal(sent),
    parseJournal(sent.replaceAll('S 1', 'R 0')),
  ]) as [Journal[], Journal[]];
  const result: SoakResult = {
    ...{ sets: [well, well], controls: [well, orphaned], heldMs: [4, 6], refused: [] },
    pings: { taking: [1, 2], idle: [1] },
    killed: [
      {
        ...{ kill: { step: 'line', victim: 'coordinator' }, isDone: true, isTaken: false },
        ...{ heldMs: [250, 251], silent: 0 },
      },
    ],
    drained: more,
    again: { before: one, after: more },
  };

  test('a run that kept all promises', () => {
    expect(findingsOf(result)).toEqual([]);
    expect(summaryOf(result)).toMatchObject({
      ...{ sets: 2, orphans: 0, controlSets: 2, controlOrphans: 1, controlOrphanSets: 1 },
      ...{ holdMs: { p50: 4, p99: 6, max: 6 }, tcpLost: 0, tcpDoubled: 0, transfersGoneOn: 1 },
      killedAtStep: { line: { kills: 1, sets: 0, heldMsMax: 251 }, open: { kills: 0 } },
    });
    expect(summaryTable(result)).toContain('without a line');
  });

  test.each([
    ['an orphan in a set', { sets: [orphaned] }, /were received and not sent/],
    ['none without a line', { controls: [well] }, /nothing was shown/],
    [
      'something still on its way',
      { drained: [parseJournal('S 1 1 5\n'), parseJournal('C 0\n')] },
      /1 transfers were lost/,
    ],
    ['a set that stands still', { again: { before: more, after: more } }, /transferred nothing/],
    ['a broken connection', { drained: [parseJournal('B 1\n')] }, /1 connections broke/],
  ])('%s is a finding', (_, change, text) => {
    expect(findingsOf({ ...result, ...change }).join('\n')).toMatch(text);
  });

  test.each([
    [{ heldMs: [900] }, /held for .* by a kill/],
    [{ isDone: false }, /1 kills found no moment/],
    [{ silent: 1 }, /never told that their line had ended/],
  ])('a kill with %j is a finding', (change, text) => {
    const killed = result.killed.map((kill) => ({ ...kill, ...change }));
    expect(findingsOf({ ...result, killed }).join('\n')).toMatch(text);
  });
});
