/** The links of one life of a simulated node: their numbers, and what comes and goes on them. */
import type { LinkId, NodeEvent } from '../src/core/effects.ts';
import type { SimHello, SimMessage } from './messages.ts';
import type { ConnectionEnd, Network } from './network.ts';
import type { SimProcess } from './process.ts';

export interface LinksOptions {
  readonly process: SimProcess;
  readonly network: Network;
  readonly tell: (event: NodeEvent) => void;
  /** There is a link. */
  readonly onMet: (hello: SimHello) => void;
  /** `arrivedAt`: when it reached this host's kernel. */
  readonly onMessage: (link: LinkId, message: SimMessage, arrivedAt: number) => void;
}

export class SimLinks {
  readonly #options: LinksOptions;
  #ends = new Map<LinkId, ConnectionEnd>();
  #next = 1;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  end(link: LinkId): ConnectionEnd | undefined {
    return this.#ends.get(link);
  }

  /** One that works. */
  get open(): readonly [LinkId, ConnectionEnd] | undefined {
    return [...this.#ends].find(([, end]) => end.isOpen);
  }

  accept(end: ConnectionEnd): void {
    const link = this.#name(end);
    this.#options.onMet(end.peerHello);
    this.#options.tell({ type: 'linkOpened', link, hello: end.peerHello });
    this.listen(link);
  }

  dial(peerName: string, hello: SimHello): void {
    const { process, network, tell, onMet } = this.#options;
    const { life } = process;
    network.dial(process.name, peerName, hello, (end) => {
      if (life.isOver) {
        end?.vanish();
        return;
      }
      process.enter(() => {
        if (end === undefined) {
          tell({ type: 'dialled' });
          return;
        }
        onMet(end.peerHello);
        tell({ type: 'dialled', link: this.#name(end), hello: end.peerHello });
      });
    });
  }

  /** What comes on it is taken from now on. */
  listen(link: LinkId): void {
    const { process, onMessage } = this.#options;
    const { life } = process;
    const end = this.#ends.get(link);
    if (end === undefined) return;
    end.handlers = {
      onMessage: (message, arrivedAt) =>
        life.run(() => {
          if (this.#ends.has(link)) onMessage(link, message, arrivedAt);
        }),
      onClose: (reason) => life.run(() => this.#lost(link, reason)),
    };
  }

  close(link: LinkId, reason: string): void {
    this.#ends.get(link)?.close(reason);
    this.#ends.delete(link);
  }

  /** What one of them said could not be taken. */
  closeAll(reason: string): void {
    for (const [link, end] of this.#ends) {
      end.close(reason);
      this.#lost(link, reason);
    }
  }

  /** The process is gone; `silently`: its host, too. */
  vanish(silently: boolean): void {
    for (const end of this.#ends.values()) {
      if (silently) end.vanish();
      else end.close('the process ended');
    }
    this.#ends = new Map();
  }

  #name(end: ConnectionEnd): LinkId {
    const link = this.#next;
    this.#next += 1;
    this.#ends.set(link, end);
    return link;
  }

  #lost(link: LinkId, reason: string): void {
    this.#ends.delete(link);
    this.#options.tell({ type: 'linkClosed', link, reason });
  }
}
