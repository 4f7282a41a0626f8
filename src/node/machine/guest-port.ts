/** The node's end of the port `agent`: asks for what the guest asks for, and answers it. */
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import {
  type GuestError,
  type GuestRequestEffect,
  GuestRequests,
  guestErrors,
} from '../../core/guest-requests.ts';
import { agentPort } from '../../hypervisor/config.ts';
import type { Logger } from '../logger.ts';
import type { SerialHub } from './serial-hub.ts';
import type { SerialPorts } from './serial-ports.ts';

export interface GuestPortOptions {
  readonly hub: SerialHub;
  /**
   * Has a cut kept for a request; resolves with the snapshot's id. `undefined`: this pair keeps
   * none.
   */
  readonly keep: ((guest: string) => Promise<{ readonly snapshot: string }>) | undefined;
  readonly log: Logger;
}

export class GuestPort {
  readonly #options: GuestPortOptions;
  readonly #requests = new GuestRequests();
  /** Of the machine that is heard: an answer for another one is nobody's. */
  #machine = 0;

  constructor(options: GuestPortOptions) {
    this.#options = options;
    options.hub.attach((bytes) => this.#perform(this.#requests.take(bytes)));
  }

  /** Of a machine that has the port. */
  static of({
    serials,
    ...options
  }: Omit<GuestPortOptions, 'hub'> & { readonly serials: SerialPorts }): GuestPort | undefined {
    const hub = serials.named(agentPort);
    return hub && new GuestPort({ ...options, hub });
  }

  /** A machine is heard from now on. `guest`: the request that it goes on from, if it does. */
  begin(guest: string | undefined): void {
    this.#machine += 1;
    this.#requests.begin();
    if (guest === undefined) return;
    this.#options.log.info({ guest }, 'goes on from what a process of the guest had kept');
    this.#perform(this.#requests.restored(guest));
  }

  #perform(effects: readonly GuestRequestEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'say') void this.#options.hub.input(Buffer.from(effect.text));
      else void this.#keep(effect.guest, this.#machine);
    }
  }

  /** Never rejects. */
  async #keep(guest: string, machine: number): Promise<void> {
    const { keep, log } = this.#options;
    let error: GuestError | undefined;
    try {
      if (keep === undefined) error = guestErrors.EOPNOTSUPP;
      else {
        const { snapshot } = await keep(guest);
        log.info({ guest, snapshot }, 'kept for a process of the guest');
      }
    } catch (thrown) {
      error = numberOf(thrown);
      log.warn({ guest, error, reason: reasonOf(thrown) }, 'not kept for a process of the guest');
    }
    if (machine === this.#machine) this.#perform(this.#requests.kept(guest, error));
  }
}

function numberOf(thrown: unknown): GuestError {
  if (!(thrown instanceof UnderstudyError)) return guestErrors.EIO;
  // A machine that is alone has a backup again by and by.
  if (thrown.mayPass || ['cut', 'link', 'takeover'].includes(thrown.code)) {
    return guestErrors.EAGAIN;
  }
  return thrown.code === 'resources' ? guestErrors.ENOSPC : guestErrors.EIO;
}
