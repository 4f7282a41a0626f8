/**
 * What the threads of a process do, for one that does not go on: whether they sleep, work, or wait
 * for a processor is what tells a machine that waits from one that is in a loop, and from one that
 * is not served.
 */
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseProcStat, parseSchedStat, type SchedStat } from '../base/proc-stat.ts';

export interface ThreadLook {
  readonly name: string;
  /** R, S, D, T, ... */
  readonly state: string;
  /** Where in the kernel it sleeps; empty when it does not, or that may not be known. */
  readonly sleepsIn: string;
  /** Of the time of the look, ms: on a processor, and in a queue for one. */
  readonly ranMs: number;
  readonly queuedMs: number;
}

/** Looks for `ms`. Threads that end meanwhile, and all of a process that is gone, are left out. */
export async function lookAtThreads(pid: number, ms: number): Promise<ThreadLook[]> {
  const before = new Map(threadIds(pid).map((id) => [id, times(pid, id)]));
  await sleep(ms);
  return [...before].flatMap(([id, then]) => {
    const now = times(pid, id);
    const stat = parseProcStat(read(pid, id, 'stat'));
    if (now === undefined || then === undefined || stat === undefined) return [];
    const place = read(pid, id, 'wchan');
    return {
      name: read(pid, id, 'comm').trim(),
      state: stat.state,
      sleepsIn: stat.state === 'R' || place === '0' ? '' : place,
      ranMs: now.ranMs - then.ranMs,
      queuedMs: now.queuedMs - then.queuedMs,
    };
  });
}

/** In a line; threads that slept all the time in the same place are told once. */
export function describeThreads(looks: readonly ThreadLook[], ms: number): string {
  const texts = looks.map(({ name, state, sleepsIn, ranMs, queuedMs }) => {
    const where = sleepsIn === '' ? '' : ` in ${sleepsIn}`;
    const took = `ran ${Math.round(ranMs)} ms, waited ${Math.round(queuedMs)} ms for a processor`;
    return `${name} ${state}${where}: ${took}`;
  });
  const counted = [...new Set(texts)].map((text) => {
    const times = texts.filter((one) => one === text).length;
    return times === 1 ? text : `${times} times ${text}`;
  });
  return `in ${ms} ms its threads did: ${counted.join('; ') || 'nothing, they are gone'}`;
}

function threadIds(pid: number): string[] {
  try {
    return fs.readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

const times = (pid: number, id: string): SchedStat | undefined =>
  parseSchedStat(read(pid, id, 'schedstat'));

/** Empty when it is gone, or may not be read. */
function read(pid: number, id: string, name: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${id}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
