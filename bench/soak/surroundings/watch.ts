/**
 * What is seen of both nodes while a fault lasts. Tells every look and every event to a timeline,
 * too, which is kept when something was found.
 */
import fs from 'node:fs';
import type { NodeStatus } from '../../../src/node/control-server.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';
import type { FaultKind } from './faults.ts';
import { type NodeName, nodeNames, type SoakPair } from './pair.ts';
import { type Before, parseLine, shownByLine, shownByStatus } from './sightings.ts';

/** They come several times a second, and tell nothing of a fault. */
const figures: readonly string[] = ['lag', 'log', 'hold', 'memory', 'status'];
/** Lines are stamped when they are made; a node that is busy looks at its clock a little later. */
const lateLineMs = 300;

/** One fault, from when it strikes. */
export class FaultWatch {
  readonly #kind: FaultKind;
  readonly #pair: SoakPair;
  readonly #before = new Map<string, Before>();
  readonly #logBytes = new Map<string, number>();
  #until = Number.POSITIVE_INFINITY;
  inStatus: string | undefined;

  constructor(kind: FaultKind, pair: SoakPair) {
    this.#kind = kind;
    this.#pair = pair;
    for (const name of nodeNames) {
      const { status } = pair.nodes[name];
      if (status !== undefined) this.#before.set(name, status);
      this.#logBytes.set(name, sizeOf(pair.logFile(name)));
    }
  }

  /** What comes from now on was seen too late. */
  end(): void {
    this.#until = Date.now();
  }

  look(node: string, status: NodeStatus | undefined): void {
    const before = this.#before.get(node);
    // A node that does not answer says nothing: the other one has to.
    if (Number.isFinite(this.#until) || before === undefined || status === undefined) return;
    this.inStatus ??= shownByStatus(this.#kind, node, before, status);
  }

  /** A look may have come too late for what an event tells; `status` would have shown it. */
  event(node: string, event: WatchEvent): void {
    if (Number.isFinite(this.#until) || event.type !== 'concern') return;
    const { about, problem } = event;
    const text = `${about}: ${problem}`;
    if (problem !== undefined && this.#kind.about.test(text)) this.inStatus ??= `${node}: ${text}`;
  }

  /** Lines may be written late, while they are stamped in time. */
  inLog(): string | undefined {
    for (const name of nodeNames) {
      for (const text of this.#lines(name)) {
        const time = parseLine(text)?.time ?? Number.POSITIVE_INFINITY;
        const shown =
          time <= this.#until + lateLineMs ? shownByLine(this.#kind, name, text) : undefined;
        if (shown !== undefined) return shown;
      }
    }
    return undefined;
  }

  #lines(name: NodeName): string[] {
    const from = this.#logBytes.get(name) ?? 0;
    return fs.readFileSync(this.#pair.logFile(name)).subarray(from).toString('utf8').split('\n');
  }
}

const sizeOf = (file: string): number => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Finds out by a node's status that it has booted: it became primary, and was no backup before. */
export class BootWatch {
  readonly #before = new Map<string, Pick<NodeStatus, 'role' | 'pid'>>();

  /** Returns whether the node has booted since the last look. */
  look(node: string, status: Pick<NodeStatus, 'role' | 'pid'> | undefined): boolean {
    if (status === undefined) return false; // what it is will be seen later
    const before = this.#before.get(node);
    this.#before.set(node, status);
    const isNew = before?.pid !== status.pid || before.role === 'starting';
    return status.role === 'primary' && isNew;
  }
}

/** Everything that happened, for whoever looks for the cause of a finding. */
export class Timeline {
  readonly #file: string;
  readonly #states = new Map<string, string>();

  constructor(file: string) {
    this.#file = file;
  }

  tell(text: string): void {
    fs.appendFileSync(this.#file, `${new Date().toISOString()} ${text}\n`);
  }

  look(node: string, status: NodeStatus | undefined): void {
    const state = status === undefined ? 'no answer' : stateText(status);
    if (this.#states.get(node) === state) return;
    this.#states.set(node, state);
    this.tell(`${node}: ${state}`);
  }

  event(node: string, event: WatchEvent): void {
    if (!figures.includes(event.type)) this.tell(`${node}: ${JSON.stringify(event)}`);
  }
}

function stateText({ role, state, term, reason, concerns }: NodeStatus): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  const about = concerns.map((concern) => `; ${concern.about}: ${concern.problem}`);
  return `${role}, ${state}, term ${term}${why}${about.join('')}`;
}
