/**
 * What the guest's clients go through while a test breaks something: load that runs from `begin` to
 * `end`, one long TCP connection among it, and the judgement over all of it.
 */
import { expect } from 'vitest';
import { judge, type OutsideReport } from '../../../src/lab/judge.ts';
import { judgeCounter } from '../../../src/lab/judge-counter.ts';
import { judgeLedger } from '../../../src/lab/judge-ledger.ts';
import type { LoadProcess } from '../../../src/lab/load-process.ts';
import type { LoadStats } from '../../../src/lab/load-record.ts';
import { bootMs, waitFor, waitForCount } from '../harness/wait.ts';
import type { HostName } from './hosts-world.ts';
import type { PairOnHosts } from './pair-on-hosts.ts';

/** Answers to clients that show that the guest is heard. */
const SOME_ANSWERS = 50;

export class Ordeal {
  readonly #pair: PairOnHosts;
  readonly #load: LoadProcess;
  readonly #speakersBefore: number;
  #stats: LoadStats | undefined;
  #seenText = '';

  private constructor(pair: PairOnHosts, speakersBefore: number) {
    this.#pair = pair;
    this.#speakersBefore = speakersBefore;
    this.#load = pair.load((stats) => {
      this.#stats = stats;
    });
  }

  /** Returns when the load runs. */
  static async begin(pair: PairOnHosts): Promise<Ordeal> {
    const ordeal = new Ordeal(pair, (await pair.speakers()).length);
    await ordeal.answers();
    ordeal.#seenText = await pair.read('/ledger');
    return ordeal;
  }

  get answered(): number {
    return this.#stats?.requestsOk ?? 0;
  }

  /** Waits until some more requests were answered. */
  async answers(count: number = SOME_ANSWERS): Promise<void> {
    await waitForCount('answers of the guest', () => this.answered, this.answered + count);
  }

  /** Hosts that spoke since the load began, in order; the first one spoke before it, too. */
  async speakers(): Promise<HostName[]> {
    return (await this.#pair.speakers()).slice(Math.max(0, this.#speakersBefore - 1));
  }

  /** The guest's files as they are now: nothing that was told so far is lost or there twice. */
  async checkFiles(): Promise<void> {
    const counted = this.#stats?.countersAcknowledged ?? 0;
    const ledger = judgeLedger(await this.#pair.read('/ledger'), { seenText: this.#seenText });
    const counter = judgeCounter(await this.#pair.read('/counter.log'), []);
    expect([...ledger.findings, ...counter.findings]).toEqual([]);
    expect(counter.entries).toBeGreaterThanOrEqual(counted);
  }

  /** Ends the load and judges: nothing lost, nothing doubled, never two speakers. */
  async end(): Promise<OutsideReport> {
    const verdict = await this.#judge();
    expect(verdict.failures).toEqual([]);
    expect(verdict, await this.#pair.speakersInTime()).toMatchObject({
      failedRequests: 0,
      lostEchoLines: 0,
      doubledEchoLines: 0,
      echoBroken: null,
    });
    return verdict;
  }

  /**
   * The same after a reboot of the guest: connections broke, but no promise was. A line is in the
   * ledger's file before it is synced, and the next one is written after that: the last one that
   * was seen may have been in the guest's memory only.
   */
  async endAfterReboot(): Promise<OutsideReport> {
    this.#seenText = this.#seenText.replace(/[^\n]*\n?$/, '');
    await waitFor('the guest', () => this.#pair.read('/read'), bootMs);
    return this.#judge();
  }

  async #judge(): Promise<OutsideReport> {
    const load = await this.#load.stop();
    const verdict = judge({
      ledger: await this.#pair.read('/ledger'),
      journal: await this.#pair.read('/counter.log'),
      load,
      seen: { seenText: this.#seenText },
    });
    expect(verdict.findings).toEqual([]);
    expect(verdict).toMatchObject({
      lostLedgerLines: 0,
      lostCounterValues: 0,
      doubledCounterValues: 0,
    });
    expect(verdict.acknowledgedCounterValues).toBeGreaterThan(0);
    await expectOneSpeaker(this.#pair);
    return verdict;
  }
}

/**
 * Each change of the speaker, as the world saw it, is one of the holder of the term: a host that
 * has lost the term is heard no more.
 */
async function expectOneSpeaker(pair: PairOnHosts): Promise<void> {
  const speakers = await pair.speakers();
  const holders = pair.holders();
  let at = 0;
  for (const speaker of speakers) {
    const next = holders.indexOf(speaker, at);
    expect(next, `speakers ${speakers.join(' ')}, terms ${holders.join(' ')}`).not.toBe(-1);
    at = next + 1;
  }
}
