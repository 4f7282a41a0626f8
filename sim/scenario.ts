/**
 * Incidents as text: a scenario is a file of lines that a person can read.
 *
 *     # why this is told
 *     set ack durable                 ack, onBackupLost, silenceMs, keepEveryMs; before any `at`
 *     at 0s start a                   start, crash, power (loss of it), pause, go
 *     at 2s cut a->b                  cut, join: one direction of the network
 *     at 2s partition / heal          both directions; heal repairs all and starts nothing
 *     at 3s reset                     every connection
 *     at 3s drill / compare / snapshot / diverge / stall / shutdown / fail
 *     at 3s go-back                   the guest failed: its machine goes back to its past
 *     at 3s arbiter away [a|b] / arbiter empty [a|b] / arbiter forgets-to-answer
 *     at 3s arbiter set-back 1        by so many terms
 *     at 3s arbiter gives-to a:other  the next term to somebody who is no node of the pair
 *     at 3s arbiter back              it is itself again, and answers
 *     at 3s start-anew b
 *     at 3s replace b                 by a host with nothing on its disks
 *     at 5s expect a primary          a role: primary, backup, none
 *     at 5s expect a protected        a state of its core
 *     at 5s expect pair protected
 *     at 5s expect takeovers 1        also: boots, late, kept
 *     at 5s expect heard more         since the last such line; or: heard nothing
 *     at 5s condition b full          a host's: slow, full (disk), mute (monitor), stuck, well
 *     |    1.602 s  b  ...            what happened up to there when the file was written
 *
 * All checkers of the random runs watch. `npm run sim -- scenarios --rewrite` writes what happens.
 */
import { Pair } from './pair.ts';
import { type Seams, soundSeams } from './seams.ts';
import { calmCondition, calmPair, type PairSettings } from './settings.ts';
import { World } from './world.ts';

/** Any number does: these are not about chance. */
const seed = 7;

interface Line {
  readonly number: number;
  readonly atMs: number;
  readonly words: readonly string[];
}

/** Runs a scenario. Throws with the line, and the timeline, when it does not go as told. */
export function runScenario(text: string, seams: Seams = soundSeams): Pair {
  return play(parse(text), seams, () => undefined);
}

/**
 * The same, and returns the text with what happened behind each line. Throws as `runScenario` does.
 */
export function tellScenario(text: string): string {
  const told = new Map<number, string[]>();
  const parsed = parse(text);
  play(parsed, soundSeams, (line, happened) => told.set(line, happened));
  const lines = text.trimEnd().split('\n');
  return lines
    .flatMap((line, index) => {
      if (line.startsWith('|')) return [];
      // Nothing is told of what happens before the story begins.
      return [...(told.get(index + 1) ?? []).map((what) => `|${what}`), line];
    })
    .join('\n')
    .concat('\n');
}

function play(
  { settings, lines }: { settings: PairSettings; lines: Line[] },
  seams: Seams,
  onPlayed: (line: number, happened: string[]) => void,
): Pair {
  const world = new World(seed);
  let happened: string[] = [];
  world.timeline.onLine = (line, who) => {
    if (who !== 'scenario') happened.push(line);
  };
  const pair = new Pair(world, settings, seams);
  const stage = new Stage(pair);
  for (const line of lines) {
    try {
      world.run(line.atMs);
      onPlayed(line.number, happened);
      stage.play(line.words);
      happened = [];
    } catch (thrown) {
      const told = `line ${line.number}, '${line.words.join(' ')}': ${(thrown as Error).message}`;
      throw new Error(`${told}\n${world.timeline.text()}`);
    }
  }
  return pair;
}

function parse(text: string): { settings: PairSettings; lines: Line[] } {
  let settings = calmPair;
  const lines: Line[] = [];
  for (const [index, whole] of text.split('\n').entries()) {
    const words = (whole.split('#')[0] ?? '')
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    const [first, second = '', third = ''] = words;
    if (first === undefined || first.startsWith('|')) continue;
    if (first === 'set') {
      const value = /^\d+$/.test(third) ? Number(third) : third;
      if (second !== 'keepEveryMs') settings = { ...settings, [second]: value };
      else settings = { ...settings, cuts: { keepEveryMs: Number(value) } };
    } else if (first === 'at') {
      const atMs = Number.parseFloat(second) * (second.endsWith('ms') ? 1 : 1000);
      const last = lines.at(-1)?.atMs ?? 0;
      if (!(atMs >= last)) throw new Error(`line ${index + 1}: '${second}' lies in the past`);
      lines.push({ number: index + 1, atMs, words: words.slice(2) });
    } else throw new Error(`line ${index + 1}: a line begins with 'set', 'at' or '#': ${whole}`);
  }
  return { settings, lines };
}

class Stage {
  readonly #pair: Pair;
  #heard = 0;

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  play([verb = '', what = '', ...rest]: readonly string[]): void {
    const pair = this.#pair;
    pair.world.say('scenario', [verb, what, ...rest].join(' '));
    switch (verb) {
      case 'start':
        pair.node(what).start();
        return;
      case 'replace':
        pair.node(what).replaceHost();
        return;
      case 'start-anew':
        pair.node(what).crash('process');
        pair.node(what).start(true);
        return;
      case 'crash':
        pair.node(what).crash('process');
        return;
      case 'power':
        pair.node(what).crash('power');
        return;
      case 'pause':
        pair.node(what).process.pause();
        return;
      case 'go':
        pair.node(what).process.go();
        return;
      case 'cut':
      case 'join': {
        const [from = '', to = ''] = what.split('->');
        pair.network.setCut(from, to, verb === 'cut');
        return;
      }
      case 'partition':
        pair.network.setCut('a', 'b', true);
        pair.network.setCut('b', 'a', true);
        return;
      case 'heal':
        pair.repair();
        return;
      case 'reset':
        pair.network.resetAll();
        return;
      case 'condition':
        this.#condition(what, rest[0] ?? '');
        return;
      case 'arbiter':
        this.#arbiter(what, rest);
        return;
      case 'drill':
      case 'compare':
      case 'snapshot':
      case 'shutdown':
      case 'fail':
      case 'go-back':
        this.#primary(verb);
        return;
      case 'diverge':
      case 'stall':
        this.#backup(verb);
        return;
      case 'expect':
        this.#expect([what, ...rest]);
        return;
      default:
        throw new Error(`there is no '${verb}'`);
    }
  }

  #condition(who: string, what: string): void {
    const { condition } = this.#pair.node(who);
    const calm = calmCondition(this.#pair.world.prng);
    const full = { rememberMs: () => undefined, spoolMs: () => undefined };
    const mute = { stopFails: () => true, goFails: () => true, cutFails: () => true };
    let ticks = 0;
    const copySpeed = (): number => {
      ticks += 1;
      return ticks % 2;
    };
    const conditions: Readonly<Record<string, object>> = {
      ...{ well: {}, slow: { copySpeed }, full, mute, stuck: { goFails: () => true } },
    };
    const found = conditions[what];
    if (found === undefined) throw new Error(`no host can be '${what}'`);
    Object.assign(condition, calm, found);
  }

  #arbiter(what: string, names: readonly string[]): void {
    const { temper, arbiter, undo } = this.#pair;
    const whom = names.length > 0 ? names : ['a', 'b'];
    switch (what) {
      case 'forgets-to-answer':
        temper.lostPermille = 1000;
        return;
      case 'away':
        for (const name of whom) temper.unreachable.add(name);
        return;
      case 'empty':
        for (const name of whom) temper.empty.add(name);
        return;
      case 'set-back':
        undo.add(arbiter.setBack(Number(names[0])));
        return;
      case 'gives-to':
        arbiter.giveTo(names[0] ?? '');
        return;
      case 'back':
        for (const restore of undo) restore();
        undo.clear();
        temper.unreachable.clear();
        temper.empty.clear();
        temper.lostPermille = 0;
        return;
      default:
        throw new Error(`the arbiter cannot '${what}'`);
    }
  }

  #primary(verb: 'drill' | 'compare' | 'snapshot' | 'shutdown' | 'fail' | 'go-back'): void {
    const { primary } = this.#pair;
    if (primary?.machine === undefined) throw new Error('nobody is primary');
    if (verb === 'shutdown') primary.machine.shutDown();
    else if (verb === 'fail') primary.machine.fail();
    else if (verb === 'go-back') primary.ask({ wish: 'goBack', reason: 'its guest failed' });
    else primary.ask({ wish: verb });
  }

  #backup(verb: 'diverge' | 'stall'): void {
    const copy = this.#pair.backup?.copy;
    if (copy?.history === undefined) throw new Error('no copy');
    if (verb === 'diverge') copy.diverge();
    else copy.isStalled = true;
  }

  #expect([who = '', what = '']: readonly string[]): void {
    const { judge } = this.#pair;
    const counts: Readonly<Record<string, number>> = {
      takeovers: judge.takeovers,
      boots: judge.boots,
      late: judge.oneSpeaker.late,
      kept: judge.kepts,
    };
    if (who === 'heard') {
      const { words } = judge.onlooker;
      const more = words > this.#heard;
      this.#heard = words;
      if (more !== (what === 'more')) throw new Error(more ? 'something was heard' : 'silence');
      return;
    }
    const found = counts[who] === undefined ? this.#stateOf(who) : [String(counts[who])];
    if (!found.includes(what)) throw new Error(`it is ${found.join(', ')}`);
  }

  #stateOf(who: string): string[] {
    if (who === 'pair') return [this.#pair.isProtected ? 'protected' : 'unprotected'];
    const { role, isUp, hasLeft, state } = this.#pair.node(who);
    if (hasLeft) return ['left'];
    return isUp ? [role, state] : ['down'];
  }
}
