/**
 * Mutants: the system with one rule broken. Each must be caught by the checkers, or the checkers
 * are of no use. They live here and only here; the code that runs in earnest has no switch for
 * them.
 */
import { icount, logPosition } from '../src/base/units.ts';
import type { NodeEffect, NodeEvent } from '../src/core/effects.ts';
import { judgeExpected, judgeSight } from '../src/core/known-arbiter.ts';
import { NodeCore } from '../src/core/node.ts';
import { PrimaryCore } from '../src/core/primary.ts';
import { type Rules, rules } from '../src/core/rules.ts';
import {
  BlindWatch,
  ChattyPrimary,
  CredulousNode,
  DeafPrimary,
  type Edit,
  EditedNode,
  ForgetfulBackup,
  ForgetfulWatch,
  GenerousPrimary,
  HastyPrimary,
  ImpatientPrimary,
  PatientFlow,
  RashNode,
  RecklessPrimary,
  ReleasingPrimary,
  RepeatingCuts,
  RevivingBackup,
  SecretiveNode,
  TrustingPrimary,
  UngrantedBackup,
  UsurpingBackup,
  YieldingPrimary,
} from './broken-parts.ts';
import type { Seams } from './seams.ts';

export interface Mutant {
  readonly rule: string;
  /** What it does instead. */
  readonly what: string;
  readonly seams: Partial<Seams>;
  /** Faults that show it: they may strike in every run. */
  readonly surely?: readonly string[];
}

const editing = (edit: Edit): Partial<Seams> => ({
  core: (options) => new EditedNode(options, edit),
});

const breaking = (broken: Partial<Rules>): Partial<Seams> => ({
  core: (options) => new NodeCore({ ...options, rules: { ...rules, ...broken } }),
});

const isControl = (effect: NodeEffect, type: string): boolean =>
  effect.type === 'send' &&
  effect.message.kind === 'control' &&
  effect.message.control.type === type;

const without =
  (isLeftOut: (effect: NodeEffect) => boolean) =>
  (effects: NodeEffect[]): NodeEffect[] =>
    effects.filter((effect) => !isLeftOut(effect));

const hearsEqual = (event: NodeEvent): NodeEvent =>
  event.type === 'compared' ? { ...event, differences: [] } : event;

const choosingAsHolder: Rules['choose'] = (facts) =>
  rules.choose({ ...facts, isOurs: facts.isOurs || facts.spoken === 0 });

export const mutants: readonly Mutant[] = [
  {
    rule: 'release-before-ack',
    what: 'outputs leave as soon as they reach the gate',
    seams: breaking({ primary: (options) => new ReleasingPrimary(options) }),
  },
  {
    rule: 'ack-before-receipt',
    what: 'a backup acknowledges log that it does not have yet',
    seams: editing({
      act: (effects) =>
        effects.map((effect) => {
          if (effect.type !== 'send' || effect.message.kind !== 'ack') return effect;
          const received = logPosition(effect.message.received + 9);
          return { ...effect, message: { ...effect.message, received } };
        }),
    }),
  },
  {
    rule: 'ack-before-durable',
    what: 'with `ack: durable`, log in memory is acknowledged',
    seams: breaking({ backup: () => new ForgetfulBackup() }),
  },
  {
    rule: 'takeover-without-term',
    what: 'a backup takes over without asking the arbiter',
    seams: breaking({ backup: (options) => new UsurpingBackup(options) }),
  },
  {
    rule: 'takeover-without-grant',
    what: 'a backup takes over although it was never granted',
    seams: breaking({ backup: (options) => new UngrantedBackup(options) }),
  },
  {
    rule: 'run-alone-without-term',
    what: 'a primary that lost its backup speaks without a term',
    seams: breaking({ primary: (options) => new HastyPrimary(options) }),
  },
  {
    rule: 'go-back-without-term',
    what: 'a machine goes back to its past in the term that its backup may take over from',
    seams: breaking({ primary: (options) => new RecklessPrimary(options) }),
  },
  {
    rule: 'speak-while-going-back',
    what: 'a machine that is about to go back to its past is heard until then',
    seams: breaking({ primary: (options) => new ChattyPrimary(options) }),
  },
  {
    rule: 'keep-speaking-after-losing-term',
    what: 'a primary takes a lost claim for a won one',
    seams: breaking({ primary: (options) => new DeafPrimary(options) }),
  },
  {
    rule: 'skip-last-event',
    what: 'a takeover leaves the last event out',
    seams: { skippedAtTakeover: 1 },
  },
  {
    rule: 'wrong-in-flight-completion',
    what: 'a takeover completes disk requests without performing them',
    seams: { completeInFlight: () => undefined },
  },
  {
    rule: 'grant-before-marker',
    what: 'a grant is sent while the gate is still open',
    seams: breaking({ primary: (options) => new GenerousPrimary(options) }),
  },
  {
    rule: 'discard-nothing-on-divergence',
    what: 'a copy that differs is kept',
    seams: { provesTakeover: false, ...editing({ hear: hearsEqual }) },
  },
  {
    rule: 'accept-stale-term',
    what: 'messages of older terms are obeyed',
    surely: ['message of an older term'],
    seams: breaking({ judgeTerm: () => ({ type: 'accept' }) }),
  },
  {
    rule: 'boot-stale-disk',
    what: 'a node boots when its peer does not answer, whoever spoke last',
    seams: breaking({
      choose: (facts) =>
        facts.peer === undefined ? { type: 'claim', expected: facts.term } : rules.choose(facts),
    }),
  },
  {
    rule: 'boot-whoever-spoke-last',
    what: 'when both nodes are without a machine, either boots',
    seams: breaking({
      choose: (facts) =>
        facts.peer?.role === 'none' ? { type: 'claim', expected: facts.term } : rules.choose(facts),
    }),
  },
  {
    rule: 'forget-having-spoken',
    what: 'a node does not remember that its machine spoke',
    seams: { remembersSpoken: false },
  },
  {
    rule: 'silent-about-a-won-term',
    what: 'a node that has won a term looks idle until it speaks, and one that never spoke boots then',
    seams: {
      // Who never spoke leaves the first term to its winner, and to others it is a stranger's: both
      // have to be off for this to show.
      judgeExpected: (expected, by) =>
        judgeExpected(expected, { ...by, known: by.known && { ...by.known, tookPart: true } }),
      core: (options) =>
        new SecretiveNode({ ...options, rules: { ...rules, choose: choosingAsHolder } }),
    },
  },
  {
    rule: 'trust-acks-of-before-a-pause',
    what: 'a primary that stood still obeys what waited in its socket',
    surely: ['process stands still'],
    seams: breaking({ primary: (options) => new TrustingPrimary(options) }),
  },
  {
    rule: 'drill-before-all-is-acknowledged',
    what: 'a drill hands over while the guest runs on',
    seams: breaking({ primary: (options) => new ImpatientPrimary(options) }),
  },
  {
    rule: 'hold-means-nothing',
    what: 'a primary speaks alone although its policy is to hold',
    seams: breaking({
      primary: (options) => new PrimaryCore({ ...options, onBackupLost: 'runAlone' }),
    }),
  },
  {
    rule: 'revive-a-guest-that-is-off',
    what: 'a guest that switched itself off is taken over',
    seams: breaking({ backup: (options) => new RevivingBackup(options) }),
  },
  {
    rule: 'accept-torn-log',
    what: 'a torn event at the end of the log is taken for a whole one',
    seams: { refusesTornLog: false },
  },
  {
    rule: 'release-without-the-gate',
    what: 'outputs leave with the log, whatever is acknowledged',
    seams: {
      core: (options) => {
        let arrived = 0;
        return new EditedNode(options, {
          act: (effects, event) => {
            if (event.type === 'booted' || event.type === 'tookOver') arrived = 0;
            if (event.type === 'outputs') arrived += event.count;
            const kept = effects.filter(({ type }) => type !== 'release');
            if (event.type !== 'recorded' || arrived === 0) return kept;
            return [...kept, { type: 'release', through: arrived }];
          },
        });
      },
    },
  },
  {
    rule: 'ship-nothing',
    what: 'a primary ships no log',
    seams: editing({ act: without(({ type }) => type === 'ship') }),
  },
  {
    rule: 'never-grant',
    what: 'a primary never says that its backup may take over',
    seams: editing({ act: without((effect) => isControl(effect, 'grant')) }),
  },
  {
    rule: 'compare-always-equal',
    what: 'a backup calls every compare equal',
    surely: ['diverged backup'],
    seams: editing({ hear: hearsEqual }),
  },
  {
    rule: 'acknowledge-without-feeding',
    what: 'a backup acknowledges log that its copy never gets',
    seams: editing({
      act: (effects, event) => {
        if (event.type !== 'message' || event.message.kind !== 'log') return effects;
        const { link, message } = event;
        const { term, to: received } = message;
        const ack = { kind: 'ack', term, received, appliedIcount: icount(0) } as const;
        const kept = effects.filter(({ type }) => type !== 'feed');
        return kept.length === effects.length
          ? effects
          : [...kept, { type: 'send', link, message: ack }];
      },
    }),
  },
  {
    rule: 'never-slow-down',
    what: 'flow control lets a primary run away from its backup',
    seams: breaking({ flow: (onBackupLag) => new PatientFlow(onBackupLag) }),
  },
  {
    rule: 'keep-a-cut-twice',
    what: 'a cut that was kept is made and kept again',
    seams: breaking({ cuts: (policy) => new RepeatingCuts(policy) }),
  },
  {
    rule: 'speak-before-remembering',
    what: 'a node speaks in a term that its disk does not have yet',
    seams: { core: (options) => new RashNode(options) },
  },
  {
    rule: 'speak-before-proof',
    what: 'a machine that was taken over speaks in the term that lets it only prove that it can',
    seams: breaking({ primary: (options) => new PrimaryCore({ ...options, isProven: true }) }),
  },
  {
    rule: 'give-up-for-an-unproven-term',
    what: 'a machine that stands is ended for a takeover that may yet fail',
    seams: breaking({ primary: (options) => new YieldingPrimary(options) }),
  },
  {
    rule: 'pause-without-a-word',
    what: 'a machine that stood and went on does not tell its copy',
    seams: editing({ act: without((effect) => isControl(effect, 'resumed')) }),
  },
  {
    rule: 'believe-that-it-runs',
    what: 'a guest that could not be let go on is taken for one that runs',
    surely: ['monitor does not answer'],
    seams: editing({
      hear: (event) => (event.type === 'notContinued' ? { type: 'continued' } : event),
    }),
  },
  {
    rule: 'ignore-a-hurt-machine',
    what: 'a machine that stands because its disk failed is neither handed over nor let go on',
    surely: ['disk under a machine fails'],
    seams: editing({ hear: (event) => (event.type === 'hurt' ? { type: 'timer' } : event) }),
  },
  {
    rule: 'let-a-hurt-machine-stand',
    what: 'a machine without a backup that stands because its disk failed is never let go on',
    surely: ['disk under a machine fails'],
    seams: editing({
      hear: (event) => (event.type === 'hurt' ? { ...event, stands: false } : event),
    }),
  },
  {
    rule: 'hold-without-bound',
    what: 'a guest runs freely however many of its outputs wait',
    seams: editing({ act: without(({ type }) => type === 'slowDown') }),
  },
  {
    rule: 'believe-an-empty-arbiter',
    what: 'a node takes an arbiter that was never set up for its own, and that one gives terms',
    surely: ['new host without its arbiter'],
    seams: {
      judgeSight: (sight, by) => judgeSight({ ...sight, identity: 'arbiter' }, by),
      arbiterNeedsIdentity: false,
    },
  },
  {
    rule: 'forget-what-was-seen',
    what: 'a node believes an arbiter that knows less than it has seen',
    surely: ['arbiter set back'],
    seams: breaking({ watch: (options) => new ForgetfulWatch(options) }),
  },
  {
    rule: 'end-for-an-arbiter-set-back',
    what: 'a machine ends because its arbiter knows less than its node',
    surely: ['arbiter set back'],
    seams: { core: (options) => new CredulousNode(options) },
  },
  {
    rule: 'never-look-at-the-arbiter',
    what: 'a pair that needs nothing of its arbiter does not look at it',
    surely: ['second process of a name'],
    seams: breaking({ watch: (options) => new BlindWatch(options) }),
  },
  {
    rule: 'ignore-a-failed-copy',
    what: 'a backup whose copy has failed says that it may take over',
    surely: ['part of a backup fails'],
    seams: editing({ hear: (event) => (event.type === 'copyFailed' ? { type: 'timer' } : event) }),
  },
  {
    rule: 'never-compare',
    what: 'a pair makes no cut that nobody asks for',
    surely: ['diverged backup'],
    seams: breaking({ cuts: () => rules.cuts({}) }),
  },
  {
    rule: 'answer-nobody',
    what: 'whoever asks for something waits for ever',
    seams: editing({ act: without(({ type }) => type === 'answer') }),
  },
];
