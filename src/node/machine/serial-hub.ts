/**
 * A serial port of the guest, its console first of all: what was released is kept a while and given
 * to whoever attaches.
 *
 * It outlives a takeover, so who is attached stays so when a node becomes primary.
 */
import { limits } from '../../base/limits.ts';

export class SerialHub {
  readonly #watchers = new Set<(bytes: Buffer) => void>();
  #history: Buffer = Buffer.alloc(0);
  #input: (bytes: Buffer) => Promise<void> = () => Promise.resolve();

  /** Sets where typed bytes go; the present machine's port. */
  onInput(listener: (bytes: Buffer) => Promise<void>): void {
    this.#input = listener;
  }

  /** Bytes that the gate released. */
  output(bytes: Buffer): void {
    this.#history = Buffer.concat([this.#history, bytes]).subarray(-limits.serialHistoryBytes);
    for (const watcher of this.#watchers) watcher(bytes);
  }

  /** Bytes that somebody typed. Resolves when there is room for more. */
  input(bytes: Buffer): Promise<void> {
    return this.#input(bytes);
  }

  /** Calls `watcher` with the history and everything after it; returns how to stop. */
  attach(watcher: (bytes: Buffer) => void): () => void {
    if (this.#history.length > 0) watcher(this.#history);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
