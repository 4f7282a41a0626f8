/**
 * What every arbiter that is reached over a network must bear, with its real server in a process
 * of its own: answers lost, the server frozen, killed and started again.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OpenedArbiter } from '../../src/arbiter/open.ts';
import { term } from '../../src/base/units.ts';
import { Terms } from '../doubles/terms.ts';
import { hangMs, OwnTime } from '../time.ts';
import { state } from './contract.ts';
import { freePort, type LossyProxy, startLossyProxy } from './lossy-proxy.ts';

/** A server that keeps its terms from one start to the next, on the same port. */
export interface ArbiterServer {
  readonly port: number;
  start(): Promise<void>;
  /** Resolves when it answers nobody any more. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
  cleanUp(): Promise<void>;
}

export interface NetworkArbiterUnderTest {
  readonly server: ArbiterServer;
  /** A client that reaches the server on this port, itself or through a proxy. */
  openAt(port: number, deadlineMs: number): Promise<OpenedArbiter>;
}

/** Of a client that is to be failed. A busy machine may be as late with a good answer. */
const deadlineMs = 800;
/** Nothing may wait for a second deadline. */
const slackMs = 700;

export function describeNetworkArbiterContract(
  name: string,
  setUp: () => Promise<NetworkArbiterUnderTest>,
): void {
  describe(`an arbiter over a network: ${name}`, () => {
    let tested: NetworkArbiterUnderTest;
    let proxy: LossyProxy;
    const opened: OpenedArbiter[] = [];

    beforeEach(async () => {
      tested = await setUp();
      await tested.server.start();
      await insist(tested.server.port, (arbiter) => arbiter.setUp());
      proxy = await startLossyProxy(tested.server.port);
    });
    afterEach(async () => {
      for (const arbiter of opened.splice(0)) await arbiter.close();
      await proxy.close();
      await tested.server.cleanUp();
    });

    /** A server that was started may need a moment more, as etcd for the election of its leader. */
    const insist = async <T>(port: number, ask: (arbiter: OpenedArbiter) => Promise<T>) => {
      const arbiter = await tested.openAt(port, hangMs);
      try {
        return await vi.waitFor(() => ask(arbiter), { timeout: hangMs });
      } finally {
        await arbiter.close();
      }
    };

    const openAt = async (port: number, within = deadlineMs): Promise<OpenedArbiter> => {
      const arbiter = await tested.openAt(port, within);
      opened.push(arbiter);
      return arbiter;
    };

    /** Checks that it fails as an arbiter does, and in time. */
    const expectFailureInTime = async (asked: Promise<unknown>): Promise<void> => {
      const time = new OwnTime();
      await expect(asked).rejects.toMatchObject({ code: 'arbiter', hint: expect.any(String) });
      expect(time.end()).toBeLessThan(deadlineMs + slackMs);
    };

    it.each([
      ['its connection was reset', 'answersByReset'],
      ['nothing more was heard', 'answersInSilence'],
    ] as const)('won, and %s before the answer: asking again finds it won', async (_, loss) => {
      const arbiter = await openAt(proxy.port);
      const terms = new Terms(arbiter, 'a', 'life');
      expect(await insistOnTerm(terms, 0)).toEqual({ type: 'termWon', term: 1 });
      proxy.lose(loss);
      await expectFailureInTime(arbiter.compareAndSet(state(1, 'a:life'), state(2, 'a:life')));
      expect(proxy.lost).toBeGreaterThan(0);
      proxy.lose('nothing');
      expect(await insistOnTerm(terms, 1)).toEqual({ type: 'termWon', term: 2 });
      const other = new Terms(await openAt(tested.server.port), 'b', 'life');
      expect(await insistOnTerm(other, 1)).toEqual({ type: 'termLost', holder: 'a:life' });
    });

    it('cut off from it: fails in time, and goes on when it is back', async () => {
      const arbiter = await openAt(proxy.port);
      const patient = await openAt(proxy.port, hangMs);
      await patient.compareAndSet(undefined, state(1, 'a'));
      proxy.lose('everything');
      await expectFailureInTime(arbiter.read());
      await expectFailureInTime(arbiter.compareAndSet(state(1, 'a'), state(2, 'a')));
      proxy.lose('nothing');
      expect(await insistOnRead(arbiter)).toEqual(state(1, 'a'));
      const again = await patient.compareAndSet(state(1, 'a'), state(2, 'a'));
      expect(again).toEqual({ won: true });
      expect(await insistOnRead(arbiter)).toEqual(state(2, 'a'));
    });

    it('nothing listens there: fails at once, and names the address', async () => {
      const port = await freePort();
      const arbiter = await openAt(port);
      await expectFailureInTime(arbiter.read());
      await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toThrow(`${port}`);
    });

    it('frozen under a claim: whoever wins in the end, it is one', async () => {
      const [a, b] = [await openAt(tested.server.port), await openAt(tested.server.port)];
      const patient = await openAt(tested.server.port, hangMs);
      await patient.compareAndSet(undefined, state(1, 'first'));
      await insistOnRead(a);
      await insistOnRead(b);
      await tested.server.freeze();
      const claims = [
        a.compareAndSet(state(1, 'first'), state(2, 'a:x')),
        b.compareAndSet(state(1, 'first'), state(2, 'b:y')),
      ];
      await Promise.all(claims.map(expectFailureInTime));
      await expectFailureInTime(a.read());
      tested.server.thaw();
      const types = await Promise.all(
        [new Terms(a, 'a', 'x'), new Terms(b, 'b', 'y')].map(async (terms) => {
          return (await insistOnTerm(terms, 1)).type;
        }),
      );
      expect(types.sort()).toEqual(['termLost', 'termWon']);
    });

    it('killed and started again: it has the identity that it had', async () => {
      const { identity } = await insist(tested.server.port, (arbiter) => arbiter.look());
      expect(identity).toBeDefined();
      await tested.server.kill();
      await tested.server.start();
      const again = await insist(tested.server.port, (arbiter) => arbiter.setUp());
      expect(again).toEqual({ identity, isNew: false });
    });

    it('killed and started again: every term that was told is there', async () => {
      const arbiter = await openAt(tested.server.port);
      const patient = await openAt(tested.server.port, hangMs);
      for (let round = 1; round <= 3; round += 1) {
        const before = round === 1 ? undefined : state(round - 1, `a${round - 1}`);
        const claim = await patient.compareAndSet(before, state(round, `a${round}`));
        expect(claim).toEqual({ won: true });
        await tested.server.kill();
        await expectFailureInTime(arbiter.read());
        await tested.server.start();
        expect(await insistOnRead(arbiter)).toEqual(state(round, `a${round}`));
      }
    });
  });
}

/** A server that was started may need a moment more, as etcd for the election of its leader. */
async function insistOnRead(arbiter: OpenedArbiter) {
  for (const endMs = performance.now() + hangMs; ; ) {
    try {
      return await arbiter.read();
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'arbiter' });
      if (performance.now() > endMs) throw thrown;
    }
  }
}

/** As a node claims: again, when nothing was heard. */
async function insistOnTerm(terms: Terms, after: number) {
  for (const endMs = performance.now() + hangMs; ; ) {
    const outcome = await terms.claim(term(after));
    if (outcome.type !== 'arbiterUnreachable' || performance.now() > endMs) return outcome;
  }
}
