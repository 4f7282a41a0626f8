/** A node's disk: it survives crashes. Each write of the guest has a place of its own. */
import type { DiskWrite } from './guest.ts';
import { mix } from './guest.ts';

export class SimDisk {
  /** By request id; 0 where nothing was written. */
  #values: number[] = [];

  perform({ id, value }: DiskWrite): void {
    while (this.#values.length < id) this.#values.push(0);
    this.#values[id] = value;
  }

  at(id: number): number {
    return this.#values[id] ?? 0;
  }

  /** The number of the first request that a machine which boots from this disk makes. */
  get nextRequest(): number {
    return this.#values.length;
  }

  get digest(): number {
    return this.#values.reduce(mix, 1);
  }

  /** What a seed carries. */
  image(): readonly number[] {
    return [...this.#values];
  }

  overwrite(image: readonly number[]): void {
    this.#values = [...image];
  }
}
