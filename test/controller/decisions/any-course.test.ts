// Whatever happens in whatever order, the rules of a host hold: what they are is at the head of
// src/controller/decisions/controller-core.ts.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FileReading, NodeKey } from '../../../src/controller/decisions/effects.ts';
import { controllerLimits } from '../../../src/controller/limits.ts';
import { HostRig, pairSays } from './host-rig.ts';

const pairs = ['web', 'mail'];
const files = ['1.yaml', '2.yaml', '3.yaml'];
const keys = pairs.flatMap((pair) => [`${pair}/a`, `${pair}/b`]);

const file = fc.constantFrom(...files);
const key = fc.constantFrom(...keys);
const reading: fc.Arbitrary<FileReading> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<FileReading>({ kind: 'bad', problem: 'wrong' }) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...pairs),
        fc.constantFrom(['a'], ['b'], ['a', 'b']),
        fc.constantFrom('1', '2'),
      )
      .map(([pair, nodes, digest]) => pairSays(pair, nodes, digest)),
  },
);
const said = fc.constantFrom(
  ['starting', 'waiting'],
  ['primary', 'alone'],
  ['primary', 'protected'],
  ['backup', 'seeding'],
  ['backup', 'protecting'],
);

type Happening =
  | { readonly is: 'seen'; readonly file: string; readonly reading: FileReading }
  | { readonly is: 'gone'; readonly file: string }
  | { readonly is: 'ended'; readonly key: NodeKey; readonly code: number | undefined }
  | { readonly is: 'said'; readonly key: NodeKey; readonly words: readonly string[] }
  | { readonly is: 'asked'; readonly what: string; readonly force: boolean }
  | { readonly is: 'passed'; readonly ms: number }
  | { readonly is: 'stop' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ is: fc.constant('seen' as const), file, reading }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('gone' as const), file }) },
  {
    weight: 8,
    arbitrary: fc.record({
      is: fc.constant('ended' as const),
      key,
      code: fc.constantFrom(0, 1, 2, 3, undefined),
    }),
  },
  { weight: 8, arbitrary: fc.record({ is: fc.constant('said' as const), key, words: said }) },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant('asked' as const),
      what: fc.constantFrom(...pairs, ...keys),
      force: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('passed' as const),
      ms: fc.constantFrom(100, 1e3, 7e4),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Happening>({ is: 'stop' }) },
);

/** A host that is watched: an effect that breaks a rule throws. */
class WatchedHost extends HostRig {
  isStopping = false;

  constructor() {
    super();
    this.onEffect = (effect) => {
      switch (effect.type) {
        case 'start':
          expect(this.living.has(effect.node), `two processes of ${effect.node}`).toBe(false);
          expect(this.isStopping, 'started by a host that ends').toBe(false);
          expect(this.core.files.usable(effect.file), 'started from a wrong file').toBeDefined();
          return;
        case 'stop':
        case 'kill':
          expect(this.living.get(effect.node)).toBe(effect.pid);
          return;
        case 'leave':
          expect([...this.living.keys()]).toEqual([]);
          expect(this.isStopping).toBe(true);
          return;
        default:
          return;
      }
    };
  }

  happens(what: Happening): void {
    switch (what.is) {
      case 'seen':
        this.seen(what.file, what.reading);
        return;
      case 'gone':
        if (this.core.files.reading(what.file) === undefined) return;
        this.step({ type: 'fileGone', file: what.file });
        return;
      case 'ended':
        if (this.living.has(what.key)) this.ended(what.key, what.code);
        return;
      case 'said': {
        const [role = '', state = ''] = what.words;
        this.says(what.key, role, state);
        return;
      }
      case 'asked':
        this.ask(what.what, what.force);
        return;
      case 'passed':
        this.pass(what.ms);
        return;
      case 'stop':
        this.isStopping = true;
        this.step({ type: 'stopAsked' });
        return;
    }
  }
}

const course = fc.array(happening, { maxLength: 120 });

it('never two processes of a node, none of a wrong file, none when the host ends (2, 5, 7)', () => {
  fc.assert(
    fc.property(course, (happenings) => {
      const host = new WatchedHost();
      for (const what of happenings) host.happens(what);
      const alive = host.core.nodes.filter(({ pid }) => pid !== undefined);
      expect(new Map(alive.map(({ key, pid }) => [key, pid]))).toEqual(
        new Map([...host.living].sort(([a], [b]) => (a < b ? -1 : 1))),
      );
    }),
  );
});

it('a file that is saved, right or wrong, stops nothing (3, 5)', () => {
  const savings = fc.array(
    happening.filter(({ is }) => is !== 'gone' && is !== 'asked' && is !== 'stop'),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(savings, (happenings) => {
      const host = new WatchedHost();
      for (const what of happenings) host.happens(what);
      expect(host.done.filter((done) => done.startsWith('stop'))).toEqual([]);
    }),
  );
});

it('a host that is told to end does, when its nodes do, and once (7)', () => {
  fc.assert(
    fc.property(course, (happenings) => {
      const host = new WatchedHost();
      for (const what of happenings) host.happens(what);
      host.happens({ is: 'stop' });
      for (let turn = 0; turn < keys.length; turn += 1) {
        for (const node of [...host.living.keys()]) {
          if (host.placeOf(node) === 'stopping') host.ended(node, 0);
        }
        host.pass(100);
      }
      expect([...host.living.keys()]).toEqual([]);
      expect(host.done.filter((done) => done === 'leave')).toHaveLength(1);
    }),
  );
});

it('without force no restart takes a machine from a pair that could not go on with it', () => {
  const asked = fc.array(
    happening.filter((what) => what.is !== 'gone' && what.is !== 'stop'),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(asked, (happenings) => {
      const host = new WatchedHost();
      const watch = host.onEffect;
      host.onEffect = (effect) => {
        watch(effect);
        if (effect.type !== 'stop') return;
        const node = host.core.nodes.find(({ key }) => key === effect.node);
        if (node?.seen?.role !== 'primary') return;
        expect(node.seen.state).toBe('protected');
        const [pair] = effect.node.split('/');
        const others = host.core.nodes.filter(
          ({ key }) => key !== effect.node && key.startsWith(`${pair}/`),
        );
        for (const other of others) expect(other.seen?.state).toBe('protecting');
      };
      for (const what of happenings) {
        host.happens(what.is === 'asked' ? { ...what, force: false } : what);
      }
    }),
  );
});

it('a node that only fails is restarted a bounded number of times in any window', () => {
  const { restartsMax, restartWindowMs } = controllerLimits;
  fc.assert(
    fc.property(fc.array(fc.nat(90_000), { maxLength: 60 }), (livesMs) => {
      const host = new WatchedHost();
      host.seen('1.yaml', pairSays('web', ['a']));
      const starts: number[] = [];
      const watch = host.onEffect;
      host.onEffect = (effect) => {
        watch(effect);
        if (effect.type === 'start') starts.push(host.nowMs);
      };
      for (const livedMs of livesMs) {
        host.pass(livedMs);
        if (host.living.has('web/a')) host.ended('web/a', 1);
      }
      for (const from of starts) {
        const within = starts.filter((at) => at >= from && at < from + restartWindowMs);
        expect(within.length).toBeLessThanOrEqual(restartsMax + 1); // the first is no restart
      }
    }),
    { numRuns: 30 },
  );
});
