/** One run of a pair: faults for a while, then peace, in which the pair must become whole again. */
import { Violation } from './checkers/facts.ts';
import { deeds, faults } from './faults.ts';
import { Pair } from './pair.ts';
import { type Seams, soundSeams } from './seams.ts';
import type { PairSettings } from './settings.ts';
import type { Fault } from './strike.ts';
import { World } from './world.ts';

/** Faults strike for so long, in simulated milliseconds. */
const troubleMs = 9_000;
/**
 * From the end of the faults to a protected pair. The longest way: a stall that is noticed after
 * `stallMs`, then a peer that is waited for during `ownTermWaitMs`, then a seed.
 */
export const protectedAgainMs = 15_000;

/** Somebody who asks for a compare or a snapshot may wait for a seed's cut, and no longer. */
const answerMs = 4_000;

export interface IncidentOptions {
  readonly seed: number;
  /** @default the real thing */
  readonly seams?: Seams;
  /** Faults that may strike in any case, by name. */
  readonly surely?: readonly string[];
}

export interface IncidentResult {
  readonly seed: number;
  readonly failure: { readonly rule: string; readonly message: string } | undefined;
  readonly takeovers: number;
  readonly boots: number;
  readonly words: number;
  readonly late: number;
  readonly simulatedMs: number;
  /** How long it took to be protected again after the last fault. */
  readonly healedMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly timeline: string;
}

export function runIncident({
  seed,
  seams = soundSeams,
  surely = [],
}: IncidentOptions): IncidentResult {
  const world = new World(seed);
  const pair = new Pair(world, drawSettings(world), seams);
  let failure: IncidentResult['failure'];
  let healedMs = 0;
  try {
    makeTrouble(pair, surely);
    world.run(troubleMs);
    world.say('world', 'the faults end');
    pair.heal();
    care(pair);
    world.run(troubleMs + protectedAgainMs, () => pair.isProtected);
    healedMs = world.now - troubleMs;
    if (!pair.isProtected) {
      const states = [pair.a, pair.b].map(({ name, state }) => `${name}: ${state}`);
      throw new Violation(
        'protected-again',
        `not protected ${protectedAgainMs} ms after the faults ended (${states.join(', ')})`,
      );
    }
    const { waitingSinceMs } = pair.judge.answers;
    if (waitingSinceMs !== undefined && world.now - waitingSinceMs > answerMs) {
      throw new Violation('answers', `a question of ${waitingSinceMs} ms has no answer`);
    }
    // Protection must last, and the world must hear something.
    const heard = pair.judge.onlooker.words;
    world.run(world.now + 200);
    if (pair.judge.onlooker.words === heard) {
      throw new Violation('protected-again', 'the guest says nothing although it is protected');
    }
  } catch (thrown) {
    const rule = thrown instanceof Violation ? thrown.rule : 'error';
    const message = thrown instanceof Violation ? thrown.message : String((thrown as Error).stack);
    world.say('FAILED', message);
    failure = { rule, message };
  }
  return {
    seed,
    failure,
    takeovers: pair.judge.takeovers,
    boots: pair.judge.boots,
    words: pair.judge.onlooker.words,
    late: pair.judge.oneSpeaker.late,
    simulatedMs: world.now,
    healedMs,
    faults: Object.fromEntries(world.faults),
    timeline: failure === undefined ? '' : world.timeline.text(),
  };
}

function drawSettings({ prng }: World): PairSettings {
  return {
    ack: prng.chance(300) ? 'durable' : 'received',
    onBackupLost: prng.chance(250) ? 'hold' : 'runAlone',
    epochMs: 20,
    silenceMs: prng.pick([100, 300]),
    heldOutputsMax: prng.pick([16, 64]),
    cuts: {
      keepEveryMs: prng.pick([undefined, 150, 1000]),
      compareEveryMs: prng.pick([undefined, 700]),
    },
  };
}

/**
 * Finds a copy out that has diverged without a sign, unless the pair does so itself, and starts
 * nodes whose guest went off.
 */
function care(pair: Pair): void {
  const isWatched = pair.settings.cuts.compareEveryMs !== undefined;
  for (const node of [pair.a, pair.b]) {
    if (node.state === 'protected' && !isWatched) node.ask({ wish: 'compare' });
    node.start();
  }
  pair.world.after(300, () => care(pair));
}

/** Schedules starts, faults and deeds. Which faults may strike is drawn for each run. */
function makeTrouble(pair: Pair, surely: readonly string[]): void {
  const { world } = pair;
  const { prng } = world;
  for (const node of [pair.a, pair.b]) world.after(prng.below(300), () => pair.startIfDown(node));
  const mayStrike = ({ name, drawnPermille = 400 }: Fault): boolean =>
    prng.chance(drawnPermille) || surely.includes(name);
  const possible = [...faults.filter(mayStrike), ...deeds];
  // Crashes of the primary are what takeovers are made of.
  if (!possible.includes(faults[0] as Fault)) possible.push(faults[0] as Fault);
  const calmMs = prng.pick([150, 400, 900]);
  const next = (): void => {
    if (world.now > troubleMs - 500) return;
    const fault = pickByWeight(possible, prng.below(weightOf(possible)));
    const struck = fault.strike(pair);
    if (struck === true) world.struck(fault.name);
    if (struck !== false) world.say('fault', fault.name);
    world.after(prng.between(10, 2 * calmMs), next);
  };
  world.after(500, next);
}

const weightOf = (some: readonly Fault[]): number =>
  some.reduce((sum, { weight }) => sum + weight, 0);

function pickByWeight(some: readonly Fault[], at: number): Fault {
  let left = at;
  for (const fault of some) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  throw new Error('the weights do not add up');
}
