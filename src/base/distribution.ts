/**
 * A distribution of measured values in bounded memory.
 *
 * Exact up to `samplesMax` values. Past that it keeps a uniform sample (reservoir sampling with a
 * fixed sequence, so that equal input gives equal output); count, sum, least and greatest stay
 * exact for ever. Percentiles are by nearest rank: a value that was really measured.
 */

/** Enough for a p99 with a hundred values above it; 80 KB. */
const SAMPLES_MAX_DEFAULT = 10_000;

export class Distribution {
  readonly #samplesMax: number;
  #samples: number[] = [];
  #sorted = true;
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #random = 0x9e3779b9;

  constructor(samplesMax: number = SAMPLES_MAX_DEFAULT) {
    this.#samplesMax = samplesMax;
  }

  add(value: number): void {
    this.#count += 1;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (this.#samples.length < this.#samplesMax) {
      this.#samples.push(value);
      this.#sorted = false;
      return;
    }
    // Any stored sample is as good as another, so sorting in between does no harm.
    const place = this.#nextRandom() % this.#count;
    if (place < this.#samplesMax) {
      this.#samples[place] = value;
      this.#sorted = false;
    }
  }

  /** The value that a share `q` (0 to 1) of all values does not exceed; 0 when there are none. */
  p(q: number): number {
    if (this.#samples.length === 0) return 0;
    if (q >= 1) return this.#max;
    if (!this.#sorted) {
      // Typed arrays are sorted as numbers, without a call for each pair of them.
      this.#samples = Array.from(Float64Array.from(this.#samples).sort());
      this.#sorted = true;
    }
    const rank = Math.max(1, Math.ceil(q * this.#samples.length));
    return this.#samples[rank - 1] as number;
  }

  get count(): number {
    return this.#count;
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  get max(): number {
    return this.#count === 0 ? 0 : this.#max;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** xorshift32: this picks samples, nothing depends on its quality. */
  #nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random;
  }
}
