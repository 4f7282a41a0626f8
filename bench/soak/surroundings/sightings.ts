/**
 * Whether a fault was to be seen while it lasted: in the status of a node, and in the log of one.
 * Somebody who looks at `status` now and then, or reads the log afterwards, must learn of it.
 */
import type { NodeStatus } from '../../../src/node/control-server.ts';
import type { FaultKind } from './faults.ts';

/** One line of a node's log, as pino writes it. */
export interface LogLine {
  readonly level: number;
  readonly time: number;
  readonly msg: string;
}

/** As far as it was seen: in which words. */
export interface Seen {
  readonly inStatus: string | undefined;
  readonly inLog: string | undefined;
}

/** What a node was before the fault. */
export type Before = Pick<NodeStatus, 'role' | 'state' | 'term'>;

const warning = 40;
const stateChange = /^(primary|backup) state$/;
/** What the soak makes a node say, so that it has something to say. */
const ownNoise = /^SIGHUP/;

/** How a node's status shows the fault; `undefined`: it does not. */
export function shownByStatus(
  kind: FaultKind,
  node: string,
  before: Before,
  status: Pick<NodeStatus, 'role' | 'state' | 'term' | 'reason' | 'concerns'>,
): string | undefined {
  const concern = status.concerns.find(({ about, problem }) =>
    kind.about.test(`${about}: ${problem}`),
  );
  if (concern !== undefined) return `${node}: ${concern.about}: ${concern.problem}`;
  const { role, state, term, reason } = status;
  if (reason !== undefined && kind.about.test(reason)) return `${node} waits: ${reason}`;
  const isOther = role !== before.role || state !== before.state || term !== before.term;
  return kind.showsInState && isOther ? `${node}: ${role}, ${state}, term ${term}` : undefined;
}

/** How a line of a node's log shows the fault; `undefined`: it does not. */
export function shownByLine(kind: FaultKind, node: string, text: string): string | undefined {
  const line = parseLine(text);
  if (line === undefined || ownNoise.test(line.msg)) return undefined;
  const shows =
    line.level >= warning
      ? kind.showsInState || kind.about.test(wordsOf(text))
      : kind.showsInState && stateChange.test(line.msg);
  return shows ? `${node}: ${wordsOf(text)}` : undefined;
}

/** `undefined`: it is none. */
export function parseLine(text: string): LogLine | undefined {
  try {
    const { level, time, msg } = JSON.parse(text) as Partial<LogLine>;
    if (typeof level !== 'number' || typeof time !== 'number' || typeof msg !== 'string') {
      return undefined;
    }
    return { level, time, msg };
  } catch {
    return undefined;
  }
}

/** A line without what every line has, whose words would match what a fault is about. */
function wordsOf(text: string): string {
  const { level, time, pid, hostname, name, msg, ...fields } = JSON.parse(text) as Record<
    string,
    unknown
  >;
  const more = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [String(msg), ...more].join(' ').slice(0, wordsMax);
}

const wordsMax = 300;
