/**
 * A fleet on paper: what our measured figures mean for thousands of machines over years.
 *
 * Each host fails and is repaired at random (exponential), each rack too; hosts of a pair stand in
 * different racks. The same failures strike three fleets: single hosts, restart-style HA and pairs.
 * A pair is down for a takeover when its speaker fails while it is protected; it is unprotected
 * from then until the host is back and seeded; a second failure meanwhile takes it down until one
 * of them is back and has booted. A takeover takes nothing back that the world has seen: that is
 * the output rule, which the simulator of the protocol checks, and no assumption of this one. A
 * restart, of a pair that was struck twice or of anything else, loses what was only in RAM: those
 * are counted.
 */
import { Prng } from '../prng.ts';
import { figures } from './figures.ts';

export interface FleetOptions {
  readonly pairs: number;
  readonly years: number;
  readonly seed: number;
  /** Round trip between the two hosts of a pair. */
  readonly roundTripMs: number;
}

export interface FleetLine {
  readonly kind: 'single host' | 'restart-style HA' | 'restart-style HA, fast' | 'Understudy';
  /** Share of the time that the machines answered. */
  readonly availability: number;
  readonly downMinutesAYear: number;
  /** Times a year that a machine lost its RAM. */
  readonly restartsAYear: number;
  /**
   * Failures of a protected machine that took back what the world had seen: 0, by the output rule.
   * `null` where nothing is held back, so that every restart may take something back.
   */
  readonly lostOutputs: number | null;
  readonly unprotectedMinutesAYear: number;
  readonly outputDelayMs: number;
}

const hourMs = 3_600_000;
const yearHours = 8_766;

export function runFleet({ pairs, years, seed, roundTripMs }: FleetOptions): FleetLine[] {
  const prng = new Prng(seed);
  const spanHours = years * yearHours;
  const total = { single: 0, restart: 0, fast: 0, pair: 0, unprotected: 0 };
  const restarts = { single: 0, restart: 0, pair: 0 };
  for (let pair = 0; pair < pairs; pair += 1) {
    const one = outages(prng, spanHours);
    const two = outages(prng, spanHours);
    for (const { fromHours, toHours } of one) {
      total.single += toHours - fromHours + seconds(figures.bootSeconds.value);
      total.restart += seconds(figures.restartHaSeconds.value);
      total.fast += seconds(figures.restartHaFastSeconds.value);
      restarts.single += 1;
      restarts.restart += 1;
    }
    const lived = livePair(one, two, spanHours);
    total.pair += lived.downHours;
    total.unprotected += lived.unprotectedHours;
    restarts.pair += lived.restarts;
  }
  const machineYears = pairs * years;
  const line = (
    kind: FleetLine['kind'],
    downHours: number,
    restarted: number,
    rest: { unprotectedHours: number; outputDelayMs: number },
  ): FleetLine => ({
    kind,
    availability: 1 - downHours / (pairs * spanHours),
    downMinutesAYear: (downHours * 60) / machineYears,
    restartsAYear: restarted / machineYears,
    lostOutputs: kind === 'Understudy' ? 0 : null,
    unprotectedMinutesAYear: (rest.unprotectedHours * 60) / machineYears,
    outputDelayMs: rest.outputDelayMs,
  });
  const never = { unprotectedHours: pairs * spanHours, outputDelayMs: 0 };
  return [
    line('single host', total.single, restarts.single, never),
    line('restart-style HA', total.restart, restarts.restart, never),
    line('restart-style HA, fast', total.fast, restarts.restart, never),
    line('Understudy', total.pair, restarts.pair, {
      unprotectedHours: total.unprotected,
      outputDelayMs: figures.holdMs.value + roundTripMs,
    }),
  ];
}

interface Outage {
  readonly fromHours: number;
  readonly toHours: number;
}

/** When one host is down, by its own failures and those of its rack. */
function outages(prng: Prng, spanHours: number): Outage[] {
  const own = failures(prng, spanHours, figures.hostMtbfHours.value, figures.hostRepairHours.value);
  const rack = failures(
    prng,
    spanHours,
    figures.rackMtbfHours.value,
    figures.rackRepairHours.value,
  );
  const merged: Outage[] = [];
  for (const next of [...own, ...rack].sort((a, b) => a.fromHours - b.fromHours)) {
    const last = merged.at(-1);
    if (last === undefined || next.fromHours > last.toHours) merged.push(next);
    else merged[merged.length - 1] = { ...last, toHours: Math.max(last.toHours, next.toHours) };
  }
  return merged;
}

function failures(prng: Prng, spanHours: number, mtbfHours: number, repairHours: number): Outage[] {
  const found: Outage[] = [];
  for (let at = after(prng, mtbfHours); at < spanHours; ) {
    const back = at + after(prng, repairHours);
    found.push({ fromHours: at, toHours: Math.min(back, spanHours) });
    at = back + after(prng, mtbfHours);
  }
  return found;
}

/** An exponential time with this mean. */
function after(prng: Prng, meanHours: number): number {
  return -Math.log((prng.next() + 1) / 2 ** 32) * meanHours;
}

function livePair(one: readonly Outage[], two: readonly Outage[], spanHours: number) {
  const changes = [
    ...one.flatMap((outage) => changesOf(0, outage)),
    ...two.flatMap((outage) => changesOf(1, outage)),
  ].sort((a, b) => a.atHours - b.atHours);
  const up = [true, true];
  let speaker = 0;
  let protectedFrom = seconds(figures.reprotectSeconds.value);
  const lived = { downHours: 0, unprotectedHours: protectedFrom, restarts: 0 };
  let downSince: number | undefined;
  for (const { host, isUp, atHours } of changes) {
    const other = 1 - host;
    up[host] = isUp;
    if (isUp) {
      if (downSince !== undefined) {
        // Only the host that spoke last may boot by itself.
        if (host !== speaker) continue;
        lived.downHours += atHours - downSince + seconds(figures.bootSeconds.value);
        lived.restarts += 1;
        downSince = undefined;
      }
      if (up[other]) protectedFrom = atHours + seconds(figures.reprotectSeconds.value);
      continue;
    }
    const wasProtected = atHours >= protectedFrom;
    if (host === speaker && downSince === undefined) {
      if (wasProtected && up[other]) {
        speaker = other;
        lived.downHours += figures.takeoverMs.value / hourMs;
      } else downSince = atHours;
    }
    protectedFrom = Number.POSITIVE_INFINITY;
  }
  if (downSince !== undefined) lived.downHours += spanHours - downSince;
  for (const { fromHours, toHours } of [...one, ...two]) {
    lived.unprotectedHours += toHours - fromHours + seconds(figures.reprotectSeconds.value);
  }
  return lived;
}

function changesOf(host: 0 | 1, { fromHours, toHours }: Outage) {
  return [
    { host, isUp: false, atHours: fromHours },
    { host, isUp: true, atHours: toHours },
  ];
}

const seconds = (value: number): number => value / 3600;
