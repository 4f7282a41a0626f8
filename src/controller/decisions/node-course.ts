/**
 * One node of this host: whether there is a process of it, and what comes next.
 *
 *   behind -> starting -> running -> waiting -> starting ...
 *                                 -> ended | refused | givenUp
 *                                 -> stopping -> starting, or over
 *
 * Contract
 *  1. `start` is said only while there is no process of it, and not again before it is answered.
 *  2. A node that is not wanted is not started, and one that runs is stopped when its turn comes.
 *  3. One that was stopped for a restart is started as soon as it has ended, however it did.
 *  4. What a process said of itself counts for that process only.
 */
import { controllerLimits } from '../limits.ts';
import type { Ending, HostEffect, NodeKey, Seen } from './effects.ts';
import { RestartPolicy } from './restart-policy.ts';

type Place =
  /** The other node of its pair is first. */
  | { readonly is: 'behind'; readonly sinceMs: number }
  | { readonly is: 'starting' }
  | { readonly is: 'running'; readonly pid: number }
  | { readonly is: 'waiting'; readonly untilMs: number; readonly reason: string }
  | {
      readonly is: 'stopping';
      readonly pid: number;
      readonly sinceMs: number;
      readonly isKilled: boolean;
    }
  | { readonly is: 'ended' }
  | { readonly is: 'refused' | 'givenUp'; readonly reason: string };

export class NodeCourse {
  readonly key: NodeKey;
  file: string;
  /** It is in a pair file, and the host goes on. */
  isWanted = true;
  /** Of the file that its process has read, or that led to where it is. */
  digest: string | undefined;
  /** What its process says of itself. */
  seen: Seen | undefined;
  readonly #policy = new RestartPolicy();
  #place: Place;

  /** `isFirst`: it waits for no other one. */
  constructor(key: NodeKey, file: string, isFirst: boolean, nowMs: number) {
    this.key = key;
    this.file = file;
    this.#place = isFirst ? first(nowMs) : { is: 'behind', sinceMs: nowMs };
  }

  get place(): Place {
    return this.#place;
  }

  get restarts(): number {
    return this.#policy.total;
  }

  /** Of its process, or `undefined`. */
  get pid(): number | undefined {
    const { is } = this.#place;
    return is === 'running' || is === 'stopping' ? this.#place.pid : undefined;
  }

  /** There is a process of it, or there is about to be one. */
  get isAlive(): boolean {
    return ['starting', 'running', 'stopping'].includes(this.#place.is);
  }

  /** Nothing is done about it any more, by itself. */
  get rests(): boolean {
    return ['ended', 'refused', 'givenUp'].includes(this.#place.is);
  }

  /** The delay of a restart is over. */
  isDue(nowMs: number): boolean {
    return this.#place.is === 'waiting' && this.#place.untilMs <= nowMs;
  }

  /** `digest`: of the file that it will read. */
  start(digest: string, nowMs: number): HostEffect {
    if (this.isAlive) throw new Error(`${this.key} is started while it is ${this.#place.is}`);
    if (this.#place.is === 'waiting') this.#policy.restarted(nowMs);
    this.digest = digest;
    this.seen = undefined;
    this.#place = { is: 'starting' };
    return { type: 'start', node: this.key, file: this.file };
  }

  started(pid: number, digest: string | undefined): void {
    this.digest = digest;
    this.seen = undefined;
    this.#place = { is: 'running', pid };
  }

  /** Its process, or the attempt to start one, is over. */
  ended(ending: Ending, nowMs: number): void {
    this.seen = undefined;
    if (this.#place.is === 'stopping') {
      this.#policy.forgive();
      this.#place = first(nowMs);
      return;
    }
    const { reason } = ending;
    const judged = this.#policy.judge(ending, nowMs);
    switch (judged.verdict) {
      case 'rest':
        this.#place = { is: 'ended' };
        return;
      case 'refuse':
        this.#place = { is: 'refused', reason };
        return;
      case 'giveUp':
        this.#place = { is: 'givenUp', reason };
        return;
      case 'restart':
        this.#place = { is: 'waiting', untilMs: nowMs + judged.afterMs, reason };
        return;
    }
  }

  stop(nowMs: number): HostEffect[] {
    if (this.#place.is !== 'running') return [];
    const { pid } = this.#place;
    this.#place = { is: 'stopping', pid, sinceMs: nowMs, isKilled: false };
    return [{ type: 'stop', node: this.key, pid }];
  }

  /** One that does not end although it was told to. */
  killLate(nowMs: number): HostEffect[] {
    const place = this.#place;
    if (place.is !== 'stopping' || place.isKilled) return [];
    if (nowMs - place.sinceMs < controllerLimits.stopMs) return [];
    this.#place = { ...place, isKilled: true };
    return [{ type: 'kill', node: this.key, pid: place.pid }];
  }

  /** It may be started at once, whatever it came to before. */
  forgive(nowMs: number): void {
    this.#policy.forgive();
    if (this.isAlive) return;
    this.#place = first(nowMs);
  }

  /** What is wrong with it, in words that stay the same while it lasts. */
  get problem(): string | undefined {
    const place = this.#place;
    const how = `understudy host restart ${this.key}`;
    switch (place.is) {
      case 'waiting':
        return `ended, and is started again soon: ${place.reason}`;
      case 'refused':
        return `is not started again until its pair file changes, or by '${how}': ${place.reason}`;
      case 'givenUp': {
        const { restartsMax, restartWindowMs } = controllerLimits;
        const often = `${restartsMax} times within ${restartWindowMs / 60_000} minutes`;
        return `was restarted ${often}, and is not again until its pair file changes, or by '${how}': ${place.reason}`;
      }
      default:
        return undefined;
    }
  }
}

/** It has waited long enough. */
const first = (nowMs: number): Place => ({
  is: 'behind',
  sinceMs: nowMs - controllerLimits.firstNodeMs,
});
