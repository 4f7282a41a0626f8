/**
 * The contract of the port `Arbiter`, as tests: every adapter passes the same ones.
 */
import { fork } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { ArbiterState, ArbiterWithIdentity } from '../../src/ports/arbiter.ts';
import { compiled } from '../compiled/program.ts';
import { FaultyArbiter, faultsInOrder, seededFaults } from '../doubles/faulty-arbiter.ts';
import { Terms } from '../doubles/terms.ts';

export interface ArbiterUnderTest {
  /** A further client of the same, fresh arbiter, which was never set up. */
  open(): Promise<ArbiterWithIdentity>;
  /**
   * What test/arbiter/racer-main.ts needs to open one in a process of its own: the arbiter as in a
   * pair file, and the proof in JSON. None for an arbiter that lives in one process: it runs no
   * race.
   */
  readonly racerArguments?: RacerArguments;
  cleanUp(): Promise<void>;
}

type RacerArguments = readonly [spec: string, auth: string];

/** Whose terms the clients under test and the racers ask for. */
export const racingPair = 'race';

export const state = (number: number, holder: string): ArbiterState => ({
  term: term(number),
  holder,
});

export function describeArbiterContract(
  name: string,
  setUp: () => Promise<ArbiterUnderTest>,
): void {
  describe(`the arbiter contract: ${name}`, () => {
    let tested: ArbiterUnderTest | undefined;

    afterEach(async () => {
      await tested?.cleanUp();
      tested = undefined;
    });

    const beginNew = async (): Promise<ArbiterUnderTest> => {
      tested = await setUp();
      return tested;
    };
    const begin = async (): Promise<ArbiterUnderTest> => {
      const begun = await beginNew();
      await (await begun.open()).setUp();
      return begun;
    };

    it('has no identity before it is set up, and the same one for all from then on', async () => {
      const { open } = await beginNew();
      const [a, b] = [await open(), await open()];
      // A directory is not even there.
      const seen = await a
        .look()
        .catch(({ code, mayPass }: UnderstudyError) => ({ code, mayPass }));
      const nothing = { identity: undefined, state: undefined };
      expect([nothing, { code: 'arbiter', mayPass: true }]).toContainEqual(seen);
      const { identity, isNew } = await a.setUp();
      expect([identity, isNew]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), true]);
      for (const client of [a, b, await open()]) {
        expect(await client.setUp()).toEqual({ identity, isNew: false });
        expect(await client.look()).toEqual({ identity, state: undefined });
      }
      await b.compareAndSet(undefined, state(1, 'b'));
      expect(await a.look()).toEqual({ identity, state: state(1, 'b') });
    });

    it('gives no term before it is set up, and says that this may pass', async () => {
      const { open } = await beginNew();
      const arbiter = await open();
      for (const expected of [undefined, state(1, 'a')]) {
        const next = state((expected?.term ?? 0) + 1, 'b');
        await expect(arbiter.compareAndSet(expected, next)).rejects.toMatchObject({
          ...{ code: 'arbiter', mayPass: true, hint: expect.any(String) as string },
        });
      }
      await arbiter.setUp();
      expect(await arbiter.read()).toBeUndefined();
    });

    it('has one identity, however many set it up at once', async () => {
      const { open } = await beginNew();
      const clients = await Promise.all(Array.from({ length: 8 }, open));
      const made = await Promise.all(clients.map((client) => client.setUp()));
      expect(new Set(made.map(({ identity }) => identity)).size).toBe(1);
      expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
    });

    it('knows nothing at first, and gives term 1 to the first who asks', async () => {
      const { open } = await begin();
      const arbiter = await open();
      expect(await arbiter.read()).toBeUndefined();
      expect(await arbiter.compareAndSet(undefined, state(1, 'a'))).toEqual({ won: true });
      expect(await arbiter.read()).toEqual(state(1, 'a'));
    });

    it('keeps a term unproven until the next one is won over it, by whomever', async () => {
      const { open } = await begin();
      const [a, b] = [await open(), await open()];
      const unproven: ArbiterState = { ...state(2, 'b'), unproven: true };
      await a.compareAndSet(undefined, state(1, 'a'));
      expect(await b.compareAndSet(state(1, 'a'), unproven)).toEqual({ won: true });
      expect(await a.read()).toEqual(unproven);
      expect(await a.compareAndSet(unproven, state(3, 'a'))).toEqual({ won: true });
      const late = await b.compareAndSet(unproven, state(3, 'b'));
      expect(late).toEqual({ won: false, current: state(3, 'a') });
    });

    it('shows every client what another one won', async () => {
      const { open } = await begin();
      const [a, b] = [await open(), await open()];
      await a.compareAndSet(undefined, state(1, 'a'));
      expect(await b.read()).toEqual(state(1, 'a'));
      expect(await b.compareAndSet(state(1, 'a'), state(2, 'b'))).toEqual({ won: true });
      expect(await a.read()).toEqual(state(2, 'b'));
      const late = await open();
      expect(await late.read()).toEqual(state(2, 'b'));
    });

    it('refuses a wrong expectation and tells the present state', async () => {
      const { open } = await begin();
      const [a, b] = [await open(), await open()];
      await a.compareAndSet(undefined, state(1, 'a'));
      await a.compareAndSet(state(1, 'a'), state(2, 'a2'));
      const lost = { won: false, current: state(2, 'a2') };
      expect(await b.compareAndSet(undefined, state(1, 'b'))).toEqual(lost);
      expect(await b.compareAndSet(state(1, 'a'), state(2, 'b'))).toEqual(lost);
      expect(await b.compareAndSet(state(2, 'other'), state(3, 'b'))).toEqual(lost);
      expect(await b.compareAndSet(state(7, 'a'), state(8, 'b'))).toEqual(lost);
      expect(await a.read()).toEqual(state(2, 'a2'));
    });

    it('refuses to expect something where there is nothing', async () => {
      const { open } = await begin();
      const arbiter = await open();
      const lost = { won: false, current: undefined };
      expect(await arbiter.compareAndSet(state(1, 'a'), state(2, 'b'))).toEqual(lost);
      expect(await arbiter.read()).toBeUndefined();
    });

    it('gives a term once, also to the one who asks for it twice', async () => {
      const { open } = await begin();
      const arbiter = await open();
      await arbiter.compareAndSet(undefined, state(1, 'a'));
      const again = await arbiter.compareAndSet(undefined, state(1, 'a'));
      expect(again).toEqual({ won: false, current: state(1, 'a') });
    });

    it('throws when the next term does not follow the expected one', async () => {
      const { open } = await begin();
      const arbiter = await open();
      await expect(arbiter.compareAndSet(undefined, state(2, 'a'))).rejects.toThrow(
        UnderstudyError,
      );
      await expect(arbiter.compareAndSet(state(3, 'a'), state(3, 'a'))).rejects.toThrow(
        "'next.term' must be 4",
      );
      await expect(arbiter.compareAndSet(undefined, state(1, ''))).rejects.toThrow('next.holder');
      expect(await arbiter.read()).toBeUndefined();
    });

    it('lets exactly one of many at once win', async () => {
      const { open } = await begin();
      const clients = await Promise.all(Array.from({ length: 8 }, open));
      let expected: ArbiterState | undefined;
      for (let round = 1; round <= 10; round += 1) {
        const results = await Promise.all(
          clients.map((client, i) => client.compareAndSet(expected, state(round, `c${i}`))),
        );
        const winners = results.flatMap((result, i) => (result.won ? [`c${i}`] : []));
        expect(winners).toHaveLength(1);
        expected = state(round, winners[0] ?? '');
        for (const result of results) {
          if (!result.won) expect(result.current).toEqual(expected);
        }
      }
    });

    it('shows to every read what was won before it began, and never an older term', async () => {
      const { open } = await begin();
      const [writer, ...readers] = await Promise.all(Array.from({ length: 4 }, open));
      let won: ArbiterState | undefined;
      let done = false;
      const reading = readers.map(async (reader) => {
        let reads = 0;
        for (let seen = 0; !done; reads += 1) {
          const before = won?.term ?? 0;
          const found = (await reader.read())?.term ?? 0;
          expect(found).toBeGreaterThanOrEqual(Math.max(before, seen));
          seen = found;
        }
        return reads;
      });
      for (let number = 1; number <= 30; number += 1) {
        const next = state(number, 'writer');
        expect(await writer?.compareAndSet(won, next)).toEqual({ won: true });
        won = next;
      }
      done = true;
      for (const reads of await Promise.all(reading)) expect(reads).toBeGreaterThan(0);
    });

    it('recognises a claim whose answer was lost, and one that was delivered twice', async () => {
      const { open } = await begin();
      const lossy = new FaultyArbiter(await open(), {
        // Of two claims, each a read and a compare-and-set, and the second asked for again.
        nextFault: faultsInOrder(['none', 'duplicate', 'none', 'replyLost']),
        wait: async () => undefined,
      });
      const terms = new Terms(lossy, 'a', 'life');
      expect(await terms.claim(term(0))).toEqual({ type: 'termWon', term: 1 });
      expect(await terms.claim(term(1))).toMatchObject({ type: 'arbiterUnreachable' });
      expect(await terms.claim(term(1))).toEqual({ type: 'termWon', term: 2 });
      const other = new Terms(await open(), 'b', 'life');
      expect(await other.claim(term(1))).toEqual({ type: 'termLost', holder: 'a:life' });
    });

    it.each([1, 2, 3])('makes no two winners over a bad network (seed %i)', async (seed) => {
      const { open } = await begin();
      await expectOneWinnerATerm(open, { seed, terms: 25 });
    });

    it('lets every term be won exactly once in a race of four processes', async () => {
      const { open, racerArguments } = await begin();
      if (racerArguments === undefined) return;
      const wins = 50;
      const racers = ['a', 'b', 'c', 'd'];
      const won = await Promise.all(
        racers.map((racer) => race([...racerArguments, racer, `${wins}`])),
      );
      for (const terms of won) expect(terms).toHaveLength(wins);
      const all = won.flat().sort((a, b) => a - b);
      expect(all).toEqual(Array.from({ length: racers.length * wins }, (_, i) => i + 1));
      const final = await (await open()).read();
      expect(final?.term).toBe(racers.length * wins);
    });

    it('goes on when racers are killed at any moment', async () => {
      const { open, racerArguments } = await begin();
      if (racerArguments === undefined) return;
      const told: number[] = [];
      for (let round = 0; round < 6; round += 1) {
        const killed = ['x', 'y'].map((name, i) =>
          race([...racerArguments, `${name}${round}`, '100000'], {
            killAfterWins: 5 + 7 * i + round,
          }),
        );
        told.push(...(await Promise.all(killed)).flat());
      }
      expect(new Set(told).size).toBe(told.length);
      const arbiter = await open();
      const current = await arbiter.read();
      expect(current?.term).toBeGreaterThanOrEqual(Math.max(...told));
      const next = state((current?.term ?? 0) + 1, 'survivor');
      expect(await arbiter.compareAndSet(current, next)).toEqual({ won: true });
    });
  });
}

/** Nodes that claim as real ones do, each over a bad network of its own. */
async function expectOneWinnerATerm(
  open: () => Promise<ArbiterWithIdentity>,
  { seed, terms }: { readonly seed: number; readonly terms: number },
): Promise<void> {
  const winners = new Map<number, string>();
  const nodes = ['a', 'b', 'c'].map(async (name, index) => {
    const arbiter = new FaultyArbiter(await open(), {
      nextFault: seededFaults(seed * 100 + index, 2),
      wait: () => new Promise((resolve) => setImmediate(resolve)),
    });
    let expected = 0;
    // Each claim is another life: one that was lost for good must not be won by a later one.
    for (let life = 0; expected < terms; life += 1) {
      const claimer = new Terms(arbiter, name, `${life}`);
      let outcome = await claimer.claim(term(expected));
      while (outcome.type === 'arbiterUnreachable') outcome = await claimer.claim(term(expected));
      if (outcome.type === 'termWon') {
        expect(winners.has(outcome.term), `term ${outcome.term} was won already`).toBe(false);
        winners.set(outcome.term, `${name}:${life}`);
      }
      expected = (await insistOnRead(arbiter))?.term ?? 0;
    }
  });
  await Promise.all(nodes);
  // The others were won by a claim whose owner had given up: nobody speaks in those.
  expect(winners.size).toBeGreaterThan(terms / 2);
  const last = await (await open()).read();
  expect(last?.term).toBeGreaterThanOrEqual(terms);
  if (last !== undefined && winners.has(last.term)) {
    expect(winners.get(last.term)).toBe(last.holder);
  }
}

async function insistOnRead(arbiter: ArbiterWithIdentity): Promise<ArbiterState | undefined> {
  for (;;) {
    try {
      return await arbiter.read();
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'arbiter' });
    }
  }
}

/** Runs a racer; resolves with the terms that it was told to have won. */
export function race(
  racerArguments: readonly string[],
  options: { readonly killAfterWins?: number } = {},
): Promise<number[]> {
  return new Promise<number[]>((resolve, reject) => {
    const won: number[] = [];
    const child = fork(compiled('test/arbiter/racer-main.ts'), racerArguments, { execArgv: [] });
    child.on('message', (message) => {
      won.push(Number(message));
      if (won.length === options.killAfterWins) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0 || (signal === 'SIGKILL' && options.killAfterWins !== undefined)) resolve(won);
      else reject(new Error(`racer ended with code ${code}, signal ${signal}`));
    });
  });
}
