/**
 * The bytes behind the output gate: what the guest sent, in the order it arrived, over all
 * channels.
 */
export type Channel =
  | { readonly kind: 'nic'; readonly index: number }
  /** 0 is the console. */
  | { readonly kind: 'serial'; readonly index: number };

export interface Output {
  readonly channel: Channel;
  readonly bytes: Buffer;
  readonly arrivedAt: number;
}

export class OutputQueue {
  #outputs: Output[] = [];
  #head = 0;
  /** Outputs taken so far: the number of the last one. */
  #taken = 0;

  push(output: Output): void {
    this.#outputs.push(output);
  }

  get length(): number {
    return this.#outputs.length - this.#head;
  }

  /** Takes the outputs up to and including number `through` (the first one is number 1). */
  take(through: number): Output[] {
    const count = through - this.#taken;
    const taken = this.#outputs.slice(this.#head, this.#head + count);
    if (taken.length !== count) {
      throw new Error(`output ${through} was released, but only ${taken.length} of ${count} wait`);
    }
    this.#taken = through;
    this.#head += count;
    if (this.#head > 1024) {
      this.#outputs = this.#outputs.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }
}
