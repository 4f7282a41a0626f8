/** What the rounds of `npm run bench -- price` come to, and how it reads. */
import { median } from '../../src/bench/report/stats.ts';
import { painter } from '../../src/text/style.ts';
import { sectionLines } from '../../src/text/text-table.ts';
import { type Ratio, type Rounds, ratioOf } from '../turns/by-turns.ts';
import type { Charges } from './charges.ts';
import { type Bound, type Demand, least, oneHost, total, twoHosts } from './model.ts';

export const arrangementTexts = {
  bare: 'plain TCG',
  alone: 'alone',
  pair: 'pair',
  split: 'pair, a processor a node',
  against: 'pair of the other checkout',
} as const;

export type ArrangementName = keyof typeof arrangementTexts;

/** What the model says, against what was measured; a rate is requests a second. */
interface Predicted extends Bound {
  readonly measured?: number;
}

export interface PriceSummary {
  /** Medians over the rounds. */
  readonly charges: Partial<Record<ArrangementName, Charges>>;
  readonly model: Readonly<Record<string, Predicted>>;
  readonly against?: Readonly<Record<'rate' | 'pair' | 'nodes' | 'machines' | 'idlePage', Ratio>>;
}

export function summaryOf(
  rounds: Rounds<ArrangementName, Charges>,
  processors: number,
): PriceSummary {
  const charges = Object.fromEntries(
    Object.entries(rounds).map(([name, of]) => [name, medianCharges(of)]),
  ) as PriceSummary['charges'];
  const { pair, split } = charges;
  const against = ratios(rounds.pair ?? [], rounds.against ?? []);
  return {
    charges,
    model: pair === undefined ? {} : modelOf(pair, split, processors),
    ...(against === undefined ? {} : { against }),
  };
}

function modelOf(
  pair: Charges,
  split: Charges | undefined,
  processors: number,
): Record<string, Predicted> {
  const { primary, backup, others } = pair;
  const here = oneHost(primary, backup, others, processors);
  return {
    [`one host, ${processors} processors`]: { ...here, measured: pair.rate },
    ...(split === undefined
      ? {}
      : {
          // What its clients do is done by the same two processors.
          'two hosts, a processor each': {
            ...least([twoHosts(primary, backup, 1), oneHost(primary, backup, others, 2)]),
            measured: split.rate,
          },
        }),
    'two hosts, 2 processors each': twoHosts(primary, backup, 2),
  };
}

function medianCharges(all: readonly Charges[]): Charges {
  const of = (figure: (charges: Charges) => number): number => median(all.map(figure));
  const demand = (role: 'primary' | 'backup'): Demand => ({
    node: of((charges) => charges[role].node),
    machine: of((charges) => charges[role].machine),
    disks: of((charges) => charges[role].disks),
  });
  return {
    rate: of(({ rate }) => rate),
    primary: demand('primary'),
    backup: demand('backup'),
    others: of(({ others }) => others),
    idle: of(({ idle }) => idle),
    idlePageMs: of(({ idlePageMs }) => idlePageMs),
  };
}

function ratios(own: readonly Charges[], other: readonly Charges[]): PriceSummary['against'] {
  if (other.length === 0) return undefined;
  const of = (figure: (charges: Charges) => number): Ratio => ratioOf(own, other, figure);
  return {
    rate: of(({ rate }) => rate),
    pair: of(({ primary, backup }) => total(primary) + total(backup)),
    nodes: of(({ primary, backup }) => primary.node + backup.node),
    machines: of(({ primary, backup }) => primary.machine + backup.machine),
    idlePage: of(({ idlePageMs }) => idlePageMs),
  };
}

const ms = (seconds: number): string => (seconds * 1000).toFixed(2);
const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** In a line, while it is measured. */
export function chargesText({ rate, primary, backup, idle, idlePageMs }: Charges): string {
  const pair = total(primary) + total(backup);
  const page = `a page of the idle guest ${idlePageMs.toFixed(1)} ms`;
  return `${page}; ${rate.toFixed(1)} requests/s, ${ms(pair)} ms of a processor each, ${percent(idle)} idle`;
}

/** For people. */
export function summaryText({ charges, model, against }: PriceSummary): string {
  const measured = Object.entries(charges) as [ArrangementName, Charges][];
  const sections = [
    {
      title: 'processor time of a request, ms',
      columns: [
        ...['requests/s', 'QEMU a', 'node a', 'disks a', 'QEMU b', 'node b', 'disks b'],
        ...['others', 'idle', 'idle page'],
      ],
      rows: measured.map(([name, { rate, primary, backup, others, idle, idlePageMs }]) => [
        ...[arrangementTexts[name], rate.toFixed(1)],
        ...[ms(primary.machine), ms(primary.node), ms(primary.disks)],
        ...[ms(backup.machine), ms(backup.node), ms(backup.disks)],
        ...[ms(others), percent(idle), `${idlePageMs.toFixed(1)} ms`],
      ]),
    },
    {
      title: 'the model (at most, requests/s)',
      columns: ['model', 'measured', 'bound by'],
      rows: Object.entries(model).map(([name, { rate, by, measured: found }]) => [
        ...[name, rate.toFixed(1), found?.toFixed(1) ?? '–', by],
      ]),
    },
    ...(against === undefined
      ? []
      : [
          {
            title: 'this checkout by the other one, by turns',
            columns: ['median', 'least', 'most'],
            rows: Object.entries(against).map(([name, all]) => [
              name,
              ...all.map((ratio) => ratio.toFixed(2)),
            ]),
          },
        ]),
  ];
  return `${sections.flatMap((section) => sectionLines(section, painter(false))).join('\n')}\n`;
}
