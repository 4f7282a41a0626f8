/** What the soak of a group found, for people and for programs. */
import { Distribution } from '../../../src/base/distribution.ts';
import { formatMs } from '../../../src/text/units.ts';
import type { Journal, Judgement } from './journal.ts';
import { judge } from './journal.ts';
import type { Killed } from './killing.ts';
import { type Step, steps } from './steps.ts';

/** What outputs may be held for a line, and what a node that waits for a processor adds. */
const holdMaxMs = 250;
const lateMsMax = 100;

export interface SoakResult {
  /** One for each set that was examined. */
  readonly sets: readonly Judgement[];
  /** The same of states without a line. */
  readonly controls: readonly Judgement[];
  readonly heldMs: readonly number[];
  readonly refused: readonly string[];
  /** Round trips of pings, milliseconds: while sets were taken, and while none was. */
  readonly pings: { readonly taking: readonly number[]; readonly idle: readonly number[] };
  readonly killed: readonly Killed[];
  /** All kills are over and nothing is on its way any more. */
  readonly drained: readonly Journal[];
  /** A set whose machines went on together: as it was, and when nothing was on its way any more. */
  readonly again: { readonly before: readonly Journal[]; readonly after: readonly Journal[] };
}

interface KilledAtStep {
  readonly kills: number;
  readonly sets: number;
  /** The longest that a member that lives held its outputs. */
  readonly heldMsMax: number;
}

/** The last line of `--json`. */
export function summaryOf(result: SoakResult) {
  const { sets, controls, heldMs, refused, pings } = result;
  const [drained, again] = [judge(result.drained), judge(result.again.after)];
  return {
    sets: sets.length,
    orphans: sum(sets.map(({ orphans }) => orphans)),
    orphanSets: sets.filter(({ orphans }) => orphans > 0).length,
    amiss: sets.filter(({ amiss }) => amiss !== 0).length,
    controlSets: controls.length,
    controlOrphans: sum(controls.map(({ orphans }) => orphans)),
    controlOrphanSets: controls.filter(({ orphans }) => orphans > 0).length,
    holdMs: spread(heldMs),
    pausesMs: { taking: spread(pings.taking), idle: spread(pings.idle) },
    tcpLost: sum([drained, again].map(({ lost, inTransit }) => lost + inTransit)),
    tcpDoubled: drained.doubled + again.doubled,
    tcpBroken: broken(result.drained) + broken(result.again.after),
    transfers: drained.received,
    transfersGoneOn: again.received - judge(result.again.before).received,
    killedAtStep: Object.fromEntries(steps.map((step) => [step, atStep(result.killed, step)])),
    refused: refused.length,
  };
}

function atStep(killed: readonly Killed[], step: Step): KilledAtStep {
  const own = killed.filter(({ kill, isDone }) => isDone && kill.step === step);
  return {
    kills: own.length,
    sets: own.filter(({ isTaken }) => isTaken).length,
    heldMsMax: round(Math.max(0, ...own.flatMap(({ heldMs }) => heldMs))),
  };
}

/** What may not be; empty when all is well. */
export function findingsOf(result: SoakResult): string[] {
  const found = summaryOf(result);
  const [drained, again] = [judge(result.drained), judge(result.again.after)];
  const lostIn = result.sets.filter(({ lost, doubled }) => lost + doubled > 0).length;
  const isTotal = found.amiss === 0 && drained.amiss === 0 && again.amiss === 0;
  const slowest = Math.max(0, ...result.killed.flatMap(({ heldMs }) => heldMs));
  const never = result.killed.filter(({ isDone }) => !isDone).length;
  const silent = sum(result.killed.map((killed) => killed.silent));
  const promises: [boolean, string][] = [
    [found.orphans === 0, `${found.orphans} transfers were received and not sent`],
    [isTotal, `the money is not all there: ${found.amiss} sets, or after draining`],
    [lostIn === 0, `${lostIn} sets lack, or have twice, a transfer in front of a later one`],
    [found.controlOrphans > 0, 'without a line there was no orphan either: nothing was shown'],
    [found.tcpLost === 0, `${found.tcpLost} transfers were lost`],
    [found.tcpDoubled === 0, `${found.tcpDoubled} transfers came twice`],
    [found.tcpBroken === 0, `${found.tcpBroken} connections broke`],
    [found.transfersGoneOn > 0, 'the machines of a set that went on transferred nothing'],
    [slowest <= holdMaxMs + lateMsMax, `outputs were held for ${formatMs(slowest)} by a kill`],
    [never === 0, `${never} kills found no moment`],
    [silent === 0, `${silent} members never told that their line had ended`],
  ];
  return promises.flatMap(([isKept, text]) => (isKept ? [] : [text]));
}

/** For people. */
export function summaryTable(result: SoakResult): string {
  const found = summaryOf(result);
  const { holdMs, pausesMs, killedAtStep } = found;
  const rows: [string, string][] = [
    ['sets', `${found.sets}, ${found.orphans} orphans in ${found.orphanSets} of them`],
    [
      'without a line',
      `${found.controlSets}, ${found.controlOrphans} orphans in ${found.controlOrphanSets} of them`,
    ],
    ['held for a set', spreadText(holdMs)],
    ['ping meanwhile', spreadText(pausesMs.taking)],
    ['ping otherwise', spreadText(pausesMs.idle)],
    ...Object.entries(killedAtStep).map(([step, { kills, sets, heldMsMax }]): [string, string] => [
      `killed at ${step}`,
      `${kills} times, ${sets} sets all the same; held for ${formatMs(heldMsMax)} at most`,
    ]),
    [
      'TCP',
      `${found.transfers} transfers, then ${found.transfersGoneOn} by machines of a set; ` +
        `${found.tcpLost} lost, ${found.tcpDoubled} doubled, ${found.tcpBroken} connections broke`,
    ],
    ['sets not taken', [String(found.refused), ...new Set(result.refused)].join('; ')],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `${label.padEnd(width)}  ${text}`);
  return `${[...lines, ...findingsOf(result).map((text) => `- ${text}`)].join('\n')}\n`;
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);

const broken = (journals: readonly Journal[]): number =>
  sum(journals.map((journal) => journal.broken));

interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const all = new Distribution();
  for (const value of values) all.add(value);
  return { p50: round(all.p(0.5)), p99: round(all.p(0.99)), max: round(all.max) };
}

const spreadText = ({ p50, p99, max }: Spread): string =>
  `p50 ${formatMs(p50)}, p99 ${formatMs(p99)}, most ${formatMs(max)}`;

const round = (ms: number): number => Math.round(ms * 10) / 10;
