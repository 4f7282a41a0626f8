/**
 * What a host does about its nodes: pure, told what happened and when, and saying what to do.
 *
 * Contract
 *  1. Of each usable pair file every node of this host has a process, but for one that rests: it
 *     ended by somebody's wish, is refused, or was given up (restart-policy.ts).
 *  2. There are never two processes of a node. `start` means: adopt the one that is there.
 *  3. A file that changes stops nothing: what runs goes on, and reads the file when it is started
 *     the next time. What is refused or given up is tried again.
 *  4. A file that is gone, and `stopAsked`, stop the nodes; of a pair the primary last, so that its
 *     machine does not move to a node that is about to end.
 *  5. A file that is wrong stops nothing, starts nothing, and concerns no other file.
 *  6. The second node of a pair starts when the first one in the file has said what it is: a new
 *     pair boots from the images of its first node.
 *  7. After `stopAsked` nothing is started; `leave` comes once, when no process is left.
 */
import { controllerLimits } from '../limits.ts';
import {
  type HostEffect,
  type HostEvent,
  keyOf,
  type NodeHere,
  type NodeKey,
  pairOf,
  type RestartAnswer,
} from './effects.ts';
import { NodeCourse } from './node-course.ts';
import { PairFiles } from './pair-files.ts';
import { isItsTurn, isPrimary, planRestart, type Restart } from './rolling.ts';

export class ControllerCore {
  readonly files = new PairFiles();
  readonly #nodes = new Map<NodeKey, NodeCourse>();
  /** By pair. */
  readonly #restarts = new Map<string, Restart>();
  #isStopping = false;
  #hasLeft = false;
  #nowMs = 0;
  #effects: HostEffect[] = [];

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** By key. */
  get nodes(): readonly NodeCourse[] {
    return [...this.#nodes.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  step(event: HostEvent, nowMs: number): readonly HostEffect[] {
    this.#nowMs = nowMs;
    this.#effects = [];
    this.#take(event);
    this.#settleFiles();
    this.#stopUnwanted();
    for (const [pair, restart] of this.#restarts) this.#goOn(pair, restart);
    this.#startDue();
    for (const node of this.#nodes.values()) this.#effects.push(...node.killLate(nowMs));
    this.#leave();
    return this.#effects;
  }

  /** The file of a node says something else than what its process has read. */
  isChanged({ isAlive, digest, file }: NodeCourse): boolean {
    const usable = this.files.usable(file);
    return isAlive && usable !== undefined && digest !== undefined && digest !== usable.digest;
  }

  /** What is wrong, by what it is about: a file, a node, or a pair. */
  problems(): Map<string, string> {
    const found = new Map<string, string>();
    for (const file of this.files.names) {
      const problem = this.files.problem(file);
      if (problem !== undefined) found.set(file, problem);
    }
    for (const node of this.#nodes.values()) {
      const problem = node.problem ?? this.#straying(node);
      if (problem !== undefined) found.set(node.key, problem);
    }
    for (const [pair, { left }] of this.#restarts) {
      found.set(
        pair,
        `the restart of ${left.join(', ')} waits until its machine may be handed over`,
      );
    }
    return found;
  }

  #straying(node: NodeCourse): string | undefined {
    if (!node.isWanted || this.#hereOf(node) !== undefined || !node.isAlive) return undefined;
    if (this.files.usable(node.file) === undefined) return undefined;
    return `its pair file does not have it any more: it goes on until it is restarted, and ends then`;
  }

  #take(event: HostEvent): void {
    switch (event.type) {
      case 'timer':
        return;
      case 'fileSeen':
        this.#fileSeen(event);
        return;
      case 'fileGone':
        this.files.gone(event.file);
        return;
      case 'found': {
        const { node: key, file, pid, digest } = event;
        const node = new NodeCourse(key, file, true, this.#nowMs);
        node.started(pid, digest);
        this.#nodes.set(key, node);
        return;
      }
      case 'started': {
        const { node, pid, digest } = event;
        this.#nodes.get(node)?.started(pid, digest);
        return;
      }
      case 'notStarted':
        this.#nodes.get(event.node)?.ended({ code: undefined, reason: event.reason }, this.#nowMs);
        return;
      case 'ended': {
        const node = this.#nodes.get(event.node);
        if (node?.pid === event.pid) node.ended(event.ending, this.#nowMs);
        return;
      }
      case 'statusSeen': {
        const node = this.#nodes.get(event.node);
        if (node?.pid === event.pid) node.seen = event.seen;
        return;
      }
      case 'restartAsked':
        this.#restartAsked(event);
        return;
      case 'stopAsked':
        this.#isStopping = true;
        this.#restarts.clear();
        return;
    }
  }

  #fileSeen({ file, reading }: Extract<HostEvent, { type: 'fileSeen' }>): void {
    this.files.seen(file, reading);
    if (reading.kind !== 'pair') return;
    for (const node of this.#nodes.values()) {
      if (node.file !== file) continue;
      const isStuck = node.place.is === 'refused' || node.place.is === 'givenUp';
      if (isStuck && node.digest !== reading.digest) node.forgive(this.#nowMs);
      if (!node.isAlive || node.digest === reading.digest || node.digest === undefined) continue;
      const message = 'its pair file has changed: it goes on with the former one until restarted';
      this.#effects.push({ type: 'note', about: node.key, message });
    }
  }

  /** Each node of a usable file is known; what no file has any more is not wanted. */
  #settleFiles(): void {
    for (const file of this.files.names) {
      const usable = this.files.usable(file);
      if (usable === undefined) continue;
      for (const here of usable.nodes) this.#know(keyOf(usable.pair, here.name), file, here);
    }
    for (const node of this.#nodes.values()) {
      const isGone = this.files.isGone(node.file);
      node.isWanted = !isGone && !this.#isStopping;
      // A file that was edited: what does not run of it is not its node any more.
      const isStale =
        this.files.usable(node.file) !== undefined && this.#hereOf(node) === undefined;
      if (!node.isAlive && (isGone || isStale)) this.#nodes.delete(node.key);
    }
  }

  #know(key: NodeKey, file: string, here: NodeHere): void {
    const known = this.#nodes.get(key);
    if (known !== undefined) {
      known.file = file;
      return;
    }
    // A pair that was given another name: its machine first ends under the old one.
    const isHeld = [...this.#nodes.values()].some(
      (node) => node.file === file && node.isAlive && pairOf(node.key) !== pairOf(key),
    );
    if (isHeld) return;
    this.#nodes.set(key, new NodeCourse(key, file, here.isLiving, this.#nowMs));
  }

  /** What the file of a node says of it now. */
  #hereOf({ key, file }: NodeCourse): NodeHere | undefined {
    const usable = this.files.usable(file);
    return usable?.nodes.find(({ name }) => keyOf(usable.pair, name) === key);
  }

  #ofPair(pair: string): NodeCourse[] {
    return [...this.#nodes.values()].filter(({ key }) => pairOf(key) === pair);
  }

  #stopUnwanted(): void {
    for (const node of this.#nodes.values()) {
      if (node.isWanted || node.place.is !== 'running') continue;
      const others = this.#ofPair(pairOf(node.key)).filter((other) => other !== node);
      const isLast = !others.some((other) => !other.isWanted && other.isAlive);
      if (!isPrimary(node) || isLast || others.every(isPrimary)) this.#stop(node);
    }
  }

  #stop(node: NodeCourse): void {
    this.#effects.push(...node.stop(this.#nowMs));
  }

  #restartAsked({ ask, what, force }: Extract<HostEvent, { type: 'restartAsked' }>): void {
    const answer = this.#restart(what, force);
    this.#effects.push({ type: 'answer', ask, answer });
  }

  #restart(what: string, force: boolean): RestartAnswer {
    if (this.#isStopping) {
      const hint = 'start it again: it starts its nodes';
      return { code: 'link', problem: 'The host is ending', hint };
    }
    const pair = what.includes('/') ? pairOf(what) : what;
    const all = this.#ofPair(pair).filter(({ isWanted }) => isWanted);
    const nodes = all.filter(({ key }) => what === pair || key === what);
    if (nodes.length === 0) {
      const known = this.nodes.map(({ key }) => key).join(', ') || 'none';
      const hint = `give PAIR or PAIR/NODE; nodes of this host: ${known}`;
      return { code: 'config', problem: `There is no '${what}' on this host`, hint };
    }
    const stuck = nodes.find(({ file }) => this.files.usable(file) === undefined);
    if (stuck !== undefined) {
      const problem = `${stuck.key} could not be started again: its pair file '${stuck.file}' is wrong`;
      const hint = 'mend it first: `understudy host status` says what is wrong with it';
      return { code: 'config', problem, hint };
    }
    const answer = planRestart(nodes, all, force);
    if ('problem' in answer) return answer;
    for (const node of nodes) if (!node.isAlive) node.forgive(this.#nowMs);
    this.#restarts.set(pair, { left: [...answer.nodes], force });
    return answer;
  }

  #goOn(pair: string, restart: Restart): void {
    const { left } = restart;
    for (let key = left[0]; key !== undefined; key = left[0]) {
      const node = this.#nodes.get(key);
      if (node?.place.is === 'starting' || node?.place.is === 'stopping') return;
      if (node?.place.is === 'running') {
        if (this.files.usable(node.file) === undefined) return;
        if (!isItsTurn(node, this.#ofPair(pair), restart)) return;
        this.#stop(node);
      }
      // One without a process is started below: it was forgiven.
      left.shift();
    }
    this.#restarts.delete(pair);
  }

  #startDue(): void {
    for (const node of this.#nodes.values()) {
      const usable = this.files.usable(node.file);
      if (!node.isWanted || usable === undefined || this.#hereOf(node) === undefined) continue;
      if (!node.isDue(this.#nowMs) && !this.#isFirst(node)) continue;
      this.#effects.push(node.start(usable.digest, this.#nowMs));
    }
  }

  /** A node that stands behind another one of its pair, and need not any more. */
  #isFirst(node: NodeCourse): boolean {
    const { place } = node;
    if (place.is !== 'behind') return false;
    if (this.#nowMs - place.sinceMs >= controllerLimits.firstNodeMs) return true;
    const usable = this.files.usable(node.file);
    const inOrder = usable?.nodes.map(({ name }) => keyOf(usable.pair, name)) ?? [];
    const before = inOrder.slice(0, inOrder.indexOf(node.key));
    return before.every((key) => {
      const other = this.#nodes.get(key);
      if (other === undefined || other.rests || other.place.is === 'waiting') return true;
      const { seen } = other;
      return seen !== undefined && (seen.role !== 'starting' || seen.state === 'waiting');
    });
  }

  #leave(): void {
    if (!this.#isStopping || this.#hasLeft) return;
    if ([...this.#nodes.values()].some(({ isAlive }) => isAlive)) return;
    this.#hasLeft = true;
    this.#effects.push({ type: 'leave' });
  }
}
