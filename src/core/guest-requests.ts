/**
 * What processes inside the guest ask the node for, over its port `agent` (docs/guest-port.md).
 *
 *   guest -> node, lines                        node -> guest, at most 15 bytes
 *     C NONCE LABEL   keep a cut now              S NONCE        it is in the store
 *                                                 R NONCE        this machine goes on from it
 *                                                 W NONCE        asked again: still at it
 *                                                 E NONCE ERRNO  it cannot be
 *     O NONCE         all that I did is safe?     S NONCE
 *
 * Intuition: who asks sleeps in read(2) until it is answered, so the cut that is kept for it holds
 * it asleep. A machine that goes on from there wakes it with another word. A line of the guest
 * comes here when the gate lets it out: when a takeover would repeat it, and all in front of it.
 *
 * Contract
 *  1. `S` of a `C` is said when the snapshot of its nonce is in the store, and not before; `S` of
 *     an `O` at once.
 *  2. `R` is said once, to a machine that goes on from exactly that cut.
 *  3. Words get lost at a takeover, so the guest asks again with the same nonce, and one that was
 *     answered here is answered the same. One request is worked on at a time: a new nonce takes
 *     the place of the one before, whose process is gone, or does not listen any more.
 *  4. A line that is none of these is answered by `E` where it has a nonce, and passed over
 *     otherwise. Nothing that a guest sends takes more memory than one line.
 */

/** What there is to be done. `guest` is `NONCE LABEL`, and is kept with the snapshot. */
export type GuestRequestEffect =
  | { readonly type: 'say'; readonly text: string }
  | { readonly type: 'keep'; readonly guest: string };

/** Errors as a Linux guest numbers them (asm-generic/errno-base.h, errno.h). */
export const guestErrors = {
  /** Not now: the machine is not protected, or a request is in the way. */
  EAGAIN: 11,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  /** The pair keeps no snapshots, or knows no such word. */
  EOPNOTSUPP: 95,
} as const;

export type GuestError = (typeof guestErrors)[keyof typeof guestErrors];

const lineBytesMax = 128;
const labelCharsMax = 63;
const lineShape = /^([A-Z]) ([0-9a-f]{8})(?: (.*))?$/;

export class GuestRequests {
  #line = '';
  /** The line is too long: what is left of it is nobody's. */
  #isSkipping = false;
  /** Nonce of the `C` that is being worked on. */
  #pending: string | undefined;
  /** What was said last, and to which nonce. */
  #answered: { readonly nonce: string; readonly text: string } | undefined;

  /** Another machine is heard from now on: what was asked of the one before is asked again. */
  begin(): void {
    this.#line = '';
    this.#isSkipping = false;
    this.#pending = undefined;
    this.#answered = undefined;
  }

  /** The machine goes on from the cut that was kept for this request of its guest. */
  restored(guest: string): GuestRequestEffect[] {
    return this.#answer(nonceOf(guest), 'R');
  }

  /** Bytes that were let out, cut anywhere. */
  take(bytes: Uint8Array): GuestRequestEffect[] {
    const effects: GuestRequestEffect[] = [];
    for (const byte of bytes) {
      if (byte === 0x0a) {
        if (!this.#isSkipping) effects.push(...this.#obey(this.#line));
        this.#line = '';
        this.#isSkipping = false;
      } else if (this.#line.length === lineBytesMax) this.#isSkipping = true;
      else this.#line += String.fromCharCode(byte);
    }
    return effects;
  }

  /** The snapshot of a `keep` is in the store; or why there is none. */
  kept(guest: string, error?: GuestError): GuestRequestEffect[] {
    const nonce = nonceOf(guest);
    if (this.#pending !== nonce) return []; // nobody waits for it any more
    this.#pending = undefined;
    return error === undefined ? this.#answer(nonce, 'S') : this.#refuse(nonce, error);
  }

  #obey(line: string): GuestRequestEffect[] {
    const [, word, nonce, label = ''] = lineShape.exec(line) ?? [];
    if (nonce === undefined) return [];
    if (this.#answered?.nonce === nonce) return [{ type: 'say', text: this.#answered.text }];
    if (word === 'O') return this.#answer(nonce, 'S');
    if (word !== 'C') return this.#refuse(nonce, guestErrors.EOPNOTSUPP);
    if (this.#pending === nonce) return [{ type: 'say', text: `W ${nonce}\n` }];
    if (!/^[ -~]*$/.test(label) || label.length > labelCharsMax) {
      return this.#refuse(nonce, guestErrors.EINVAL);
    }
    this.#pending = nonce;
    return [{ type: 'keep', guest: `${nonce} ${label}`.trimEnd() }];
  }

  #refuse(nonce: string, error: GuestError): GuestRequestEffect[] {
    // It may be asked for again: what could not be may be possible then.
    return [{ type: 'say', text: `E ${nonce} ${error}\n` }];
  }

  #answer(nonce: string, word: 'S' | 'R'): GuestRequestEffect[] {
    const text = `${word} ${nonce}\n`;
    this.#answered = { nonce, text };
    return [{ type: 'say', text }];
  }
}

/** Of `NONCE LABEL`. */
function nonceOf(guest: string): string {
  return guest.slice(0, 8);
}
