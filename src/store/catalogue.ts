/**
 * The catalogue: which chunk lies where, which snapshots, packs and pieces of log there are. An
 * SQLite database that holds nothing that the store's files do not say: it may be deleted while
 * nobody has the store open, and is made again from them (refresh.ts).
 *
 *   pack(number, id, bytes)                              bytes of the file
 *   chunk(name, pack, offset, stored, raw, codec)        one place of each chunk
 *   snapshot(id, vm, taken_at, text)                     text: the manifest's file, checked at use
 *   piece(vm, run, low, high, bytes, facts)              low, high: log positions
 *
 * It is not flushed while it is used: after a crash it is made again.
 */
import fs from 'node:fs';
import sqlite from 'node-sqlite3-wasm';
import type { RunName } from '../ports/snapshot-store.ts';
import type { SealedPack } from './pack.ts';

const schemaVersion = 1;

/** The rows of a snapshot and a piece, as their files say. */
export interface SnapshotRow {
  readonly id: string;
  readonly vm: string;
  readonly takenAtMs: number;
  readonly text: Buffer;
}

export interface PieceRow extends RunName {
  readonly from: number;
  readonly to: number;
  /** Of the file. */
  readonly bytes: number;
  /** JSON of the piece's facts. */
  readonly facts: string;
}

export interface PackRow {
  readonly id: string;
  readonly bytes: number;
}

/** Where a chunk lies. */
export interface ChunkPlace {
  readonly pack: string;
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly codec: number;
}

export interface PlacedChunk extends ChunkPlace {
  readonly name: Buffer;
}

type Row = Record<string, number | bigint | string | Uint8Array | null>;

export class Catalogue {
  readonly #db: sqlite.Database;
  readonly #find: sqlite.Statement;
  readonly #addChunk: sqlite.Statement;
  readonly #moveChunk: sqlite.Statement;

  private constructor(db: sqlite.Database) {
    this.#db = db;
    this.#find = db.prepare(
      'select id, offset, stored, raw, codec from chunk join pack on pack = number where name = ?',
    );
    const insert = (conflict: string) =>
      db.prepare(`insert or ${conflict} into chunk values (?, ?, ?, ?, ?, ?)`);
    this.#addChunk = insert('ignore');
    this.#moveChunk = insert('replace');
  }

  /** One in memory without a path. A file that is no catalogue of this version is replaced. */
  static open(path?: string): Catalogue {
    if (path === undefined) return Catalogue.#start(':memory:');
    try {
      return Catalogue.#start(path);
    } catch {
      removeCatalogue(path);
      return Catalogue.#start(path);
    }
  }

  static #start(path: string): Catalogue {
    const db = new sqlite.Database(path);
    try {
      db.exec('pragma journal_mode = memory; pragma synchronous = off');
      db.exec('pragma locking_mode = exclusive');
      const version = (db.get('pragma user_version') as Row).user_version;
      if (version === 0) createTables(db);
      else if (version !== schemaVersion) throw new Error(`catalogue of version ${version}`);
      return new Catalogue(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  close(): void {
    for (const statement of [this.#find, this.#addChunk, this.#moveChunk]) statement.finalize();
    this.#db.close();
  }

  clear(): void {
    this.#db.exec('delete from chunk; delete from pack; delete from snapshot; delete from piece');
  }

  findChunk(name: Buffer): ChunkPlace | undefined {
    const row = this.#find.get([name]) as Row | null;
    return row === null ? undefined : placeOf(row);
  }

  /** Chunks that lie somewhere already keep their place, or with `moves` get this one. */
  addPack(pack: SealedPack, options: { readonly moves?: boolean } = {}): void {
    const insert = options.moves === true ? this.#moveChunk : this.#addChunk;
    this.#transaction(() => {
      this.#db.run('insert or ignore into pack(id, bytes) values (?, ?)', [pack.id, pack.bytes]);
      const number = this.#packNumber(pack.id) ?? 0;
      for (const { name, offset, storedBytes, rawBytes, codec } of pack.entries) {
        insert.run([name, number, offset, storedBytes, rawBytes, codec]);
      }
    });
  }

  /** With the places of all chunks that lie in it. */
  dropPack(id: string): void {
    const number = this.#packNumber(id);
    if (number === undefined) return;
    this.#transaction(() => {
      this.#db.run('delete from chunk where pack = ?', [number]);
      this.#db.run('delete from pack where number = ?', [number]);
    });
  }

  packs(): PackRow[] {
    const rows = this.#db.all('select id, bytes from pack order by number') as Row[];
    return rows.map(({ id, bytes }) => ({ id: String(id), bytes: Number(bytes) }));
  }

  chunksIn(pack: string): PlacedChunk[] {
    const rows = this.#db.all(
      'select name, id, offset, stored, raw, codec from chunk join pack on pack = number ' +
        'where id = ? order by offset',
      [pack],
    ) as Row[];
    return rows.map((row) => ({ name: Buffer.from(row.name as Uint8Array), ...placeOf(row) }));
  }

  /** These chunks are not found any more. */
  dropChunks(names: readonly Buffer[]): void {
    this.#transaction(() => {
      for (const name of names) this.#db.run('delete from chunk where name = ?', [name]);
    });
  }

  addSnapshot({ id, vm, takenAtMs, text }: SnapshotRow): void {
    this.#db.run('insert or replace into snapshot values (?, ?, ?, ?)', [id, vm, takenAtMs, text]);
  }

  dropSnapshot(id: string): void {
    this.#db.run('delete from snapshot where id = ?', [id]);
  }

  snapshot(id: string): SnapshotRow | undefined {
    const row = this.#db.get('select * from snapshot where id = ?', [id]) as Row | null;
    return row === null ? undefined : snapshotOf(row);
  }

  /** In any order that stays the same: which is older, their manifests tell (order.ts). */
  snapshots(vm?: string): SnapshotRow[] {
    const rows = this.#db.all(
      'select * from snapshot where ?1 is null or vm = ?1 order by taken_at, id',
      [vm ?? null],
    ) as Row[];
    return rows.map(snapshotOf);
  }

  snapshotIds(vm: string): string[] {
    const rows = this.#db.all('select id from snapshot where vm = ?', [vm]) as Row[];
    return rows.map(({ id }) => String(id));
  }

  addPiece({ vm, run, from, to, bytes, facts }: PieceRow): void {
    const values = [vm, run, from, to, bytes, facts];
    this.#db.run('insert or replace into piece values (?, ?, ?, ?, ?, ?)', values);
  }

  dropPiece({ vm, run, from, to }: Pick<PieceRow, 'vm' | 'run' | 'from' | 'to'>): void {
    const key = [vm, run, from, to];
    this.#db.run('delete from piece where vm = ? and run = ? and low = ? and high = ?', key);
  }

  /** Of one run or of all, in the order of their positions. */
  pieces(run?: RunName): PieceRow[] {
    const rows = this.#db.all(
      'select * from piece where ?1 is null or (vm = ?1 and run = ?2) order by vm, run, low, high',
      [run?.vm ?? null, run?.run ?? null],
    ) as Row[];
    return rows.map(pieceOf);
  }

  /** The piece that goes on at a position: of several the one that begins last, and the longest. */
  pieceAt({ vm, run }: RunName, position: number): PieceRow | undefined {
    const row = this.#db.get(
      'select * from piece where vm = ? and run = ? and low <= ? and high > ? ' +
        'order by low desc, high desc limit 1',
      [vm, run, position, position],
    ) as Row | null;
    return row === null ? undefined : pieceOf(row);
  }

  /** The first piece that begins behind a position. */
  pieceBehind({ vm, run }: RunName, position: number): PieceRow | undefined {
    const row = this.#db.get(
      'select * from piece where vm = ? and run = ? and low > ? order by low limit 1',
      [vm, run, position],
    ) as Row | null;
    return row === null ? undefined : pieceOf(row);
  }

  #packNumber(id: string): number | undefined {
    const row = this.#db.get('select number from pack where id = ?', [id]) as Row | null;
    return row === null ? undefined : Number(row.number);
  }

  #transaction(run: () => void): void {
    this.#db.exec('begin');
    try {
      run();
      this.#db.exec('commit');
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('rollback');
      throw error;
    }
  }
}

/** The file, and what SQLite left beside it. */
export function removeCatalogue(path: string): void {
  for (const suffix of ['', '-journal', '.lock']) {
    fs.rmSync(path + suffix, { recursive: true, force: true });
  }
}

function createTables(db: sqlite.Database): void {
  db.exec(`
    begin;
    create table pack(number integer primary key, id text not null unique, bytes integer not null);
    create table chunk(
      name blob primary key, pack integer not null, offset integer not null,
      stored integer not null, raw integer not null, codec integer not null
    ) without rowid;
    create index chunk_pack on chunk(pack);
    create table snapshot(
      id text primary key, vm text not null, taken_at integer not null, text blob not null
    ) without rowid;
    create table piece(
      vm text not null, run text not null, low integer not null, high integer not null,
      bytes integer not null, facts text not null, primary key (vm, run, low, high)
    ) without rowid;
    pragma user_version = ${schemaVersion};
    commit;
  `);
}

function placeOf(row: Row): ChunkPlace {
  return {
    pack: String(row.id),
    offset: Number(row.offset),
    storedBytes: Number(row.stored),
    rawBytes: Number(row.raw),
    codec: Number(row.codec),
  };
}

function snapshotOf({ id, vm, taken_at, text }: Row): SnapshotRow {
  return {
    id: String(id),
    vm: String(vm),
    takenAtMs: Number(taken_at),
    text: Buffer.from(text as Uint8Array),
  };
}

function pieceOf({ vm, run, low, high, bytes, facts }: Row): PieceRow {
  return {
    vm: String(vm),
    run: String(run),
    from: Number(low),
    to: Number(high),
    bytes: Number(bytes),
    facts: String(facts),
  };
}
