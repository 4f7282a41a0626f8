/**
 * What the load program says, as newline-delimited JSON on its standard output: `stats` lines
 * while it runs, one `failed` line for each failure as it happens, and one `record` at the end.
 *
 * All instants are milliseconds since 1970.
 */
export interface LoadFailure {
  readonly client: 'reader' | 'counter' | 'echo' | 'ping';
  readonly atMs: number;
  /** How long it had been under way. */
  readonly afterMs: number;
  readonly reason: string;
}

/** A counter value that the guest promised to have on its disk. */
export interface AcknowledgedValue {
  readonly value: number;
  readonly token: string;
  readonly atMs: number;
}

export interface EchoRecord {
  readonly sent: number;
  readonly received: number;
  /** Sent lines that never came back, or that later ones overtook. */
  readonly lost: number;
  readonly doubled: number;
  /** Lines that came back changed. */
  readonly damaged: number;
  /** Why the one connection ended early, if it did. */
  readonly broken: string | undefined;
  readonly longestGapMs: number;
}

export interface PingRecord {
  readonly received: number;
  readonly doubled: number;
  readonly longestGapMs: number;
  readonly rttMs: { readonly p50: number; readonly p99: number };
}

export interface LoadStats {
  readonly type: 'stats';
  readonly atMs: number;
  readonly requestsOk: number;
  readonly requestsFailed: number;
  readonly slowestRequestMs: number;
  readonly countersAcknowledged: number;
  readonly echoLines: number;
  readonly longestGapMs: number;
}

export interface LoadRecord {
  readonly type: 'record';
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Reads and counts together. */
  readonly requestsOk: number;
  readonly requestsFailed: number;
  readonly requestMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly failures: readonly LoadFailure[];
  readonly acknowledged: readonly AcknowledgedValue[];
  readonly echo: EchoRecord | undefined;
  readonly ping: PingRecord | undefined;
}

export type LoadLine = LoadStats | LoadRecord | ({ readonly type: 'failed' } & LoadFailure);

/** The longest silence that the outside noticed: by ping where there is one, by the echo else. */
export function longestGapMs(record: Pick<LoadRecord, 'echo' | 'ping'>): number {
  return record.ping?.longestGapMs ?? record.echo?.longestGapMs ?? 0;
}
