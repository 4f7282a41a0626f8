/** Arrangements, jobs and loads as a reader meets them. */

import type { Arrangement, Job, LogRun, TakeoverRun } from '../results.ts';

export const jobNames: Readonly<Record<Job | 'idle' | 'boot', string>> = {
  cpu: 'CPU-bound',
  fork: 'fork and exec',
  diskread: 'disk read',
  diskwrite: 'disk write',
  syncwrite: 'synced write',
  http: 'HTTP',
  mixed: 'all at once',
  idle: 'idle',
  boot: 'boot',
};

export const arrangementNames: Readonly<Record<Arrangement, string>> = {
  bare: 'plain TCG',
  icount: '-icount alone',
  record: 'recording, no backup',
  pair: 'protected pair',
  kvm: 'KVM',
};

/** Where there is little room. */
export const arrangementShort: Readonly<Record<Arrangement, string>> = {
  bare: 'plain TCG',
  icount: '-icount',
  record: 'recording',
  pair: 'pair',
  kvm: 'KVM',
};

export const causeNames: Readonly<Record<TakeoverRun['cause'], string>> = {
  kill: 'kill',
  drill: 'drill',
};

export const timerName = (hz: number): string =>
  hz === 0 ? 'no idle timer' : `idle timer ${hz} Hz`;

export const logName = ({ during, guestTimerHz }: LogRun): string =>
  during === 'idle'
    ? `idle, ${guestTimerHz === 0 ? 'no timer' : `${guestTimerHz} Hz`}`
    : jobNames[during];
