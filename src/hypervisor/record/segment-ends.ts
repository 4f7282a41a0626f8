/** Log positions at which one segment ends and the next begins, whatever is read at once. */
export class SegmentEnds {
  /** Ascending. */
  readonly #ends: number[] = [];

  /** Throws when the log was followed past it. */
  add(position: number, followedTo: number): void {
    if (followedTo > position) {
      throw new Error(`log followed to ${followedTo}, past the cut at ${position}`);
    }
    this.#ends.push(position);
  }

  /** The parts of a chunk that begins at this position; some may be empty. */
  *split(chunk: Buffer, position: number): Generator<Buffer> {
    let from = position;
    let rest = chunk;
    for (let end = this.#ends[0]; end !== undefined; end = this.#ends[0]) {
      if (end > from + rest.length) break;
      this.#ends.shift();
      yield rest.subarray(0, end - from);
      rest = rest.subarray(end - from);
      from = end;
    }
    yield rest;
  }
}
