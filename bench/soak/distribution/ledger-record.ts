/** What the program of the ledger says: lines of JSON. */

export type LedgerLine =
  | { readonly type: 'broken'; readonly client: number; readonly atMs: number; reason: string }
  | ({ readonly type: 'record' } & LedgerRecord);

export interface LedgerRecord {
  /** Rows that the database has said to have. */
  readonly acknowledged: number;
  /** Of these, rows that it has not. */
  readonly lost: number;
  /** Rows that are there more than once. */
  readonly doubled: number;
}
