/**
 * The network between two hosts, and connections over it that behave as TCP does.
 *
 * Intuition: packets are lost, doubled, overtaken and late; a connection hides all of that but the
 * lateness. What it cannot hide is a break: one side may learn of it long before the other, or
 * never.
 *
 * Contract (what src/ports/link.ts promises, made from packets)
 *  1. What arrives on a connection is whole, once and in order, whatever its packets met; a
 *     heartbeat may overtake, and bulk may be overtaken.
 *  2. Packets into a direction that is cut wait in the sender's kernel, and arrive when it heals,
 *     if the connection still lives at both ends by then.
 *  3. A process that dies lets its kernel say so. A host that dies says nothing.
 *  4. A packet for a connection that its receiver has ended is answered with a reset.
 */
import type { AckFrame } from '../src/ports/link.ts';
import type { SimHello, SimMessage } from './messages.ts';
import type { World } from './world.ts';

/** One direction between two hosts. */
export interface Path {
  cut: boolean;
  delayMs: number;
  jitterMs: number;
  /** In 1000 packets. */
  lossPermille: number;
  doublePermille: number;
  overtakePermille: number;
}

export const calmPath = (): Path => ({
  cut: false,
  delayMs: 0.1,
  jitterMs: 0.3,
  lossPermille: 0,
  doublePermille: 0,
  overtakePermille: 0,
});

/** A kernel sends a lost packet again after about this long. */
const resendMs = 20;
/** A dialler gives up. */
const dialMs = 800;

/** What a node gives to its end of a connection. */
export interface EndHandlers {
  onMessage(message: SimMessage, arrivedAt: number): void;
  onClose(reason: string): void;
}

/** One end of a connection. */
export class ConnectionEnd {
  readonly peerHello: SimHello;
  readonly #connection: Connection;
  readonly side: 0 | 1;
  isOpen = true;
  #handlers: EndHandlers | undefined;
  /** What came before there were handlers. */
  #early: ((handlers: EndHandlers) => void)[] = [];

  constructor(connection: Connection, side: 0 | 1, peerHello: SimHello) {
    this.#connection = connection;
    this.side = side;
    this.peerHello = peerHello;
  }

  set handlers(handlers: EndHandlers) {
    this.#handlers = handlers;
    for (const act of this.#early.splice(0)) act(handlers);
  }

  /** A message reaches this host's kernel; its process may see it much later. */
  deliver(message: SimMessage, arrivedAt: number): void {
    if (this.#handlers !== undefined) this.#handlers.onMessage(message, arrivedAt);
    else this.#early.push((handlers) => handlers.onMessage(message, arrivedAt));
  }

  tellClosed(reason: string): void {
    if (this.#handlers !== undefined) this.#handlers.onClose(reason);
    else this.#early.push((handlers) => handlers.onClose(reason));
  }

  send(message: SimMessage, extraDelayMs = 0): void {
    if (this.isOpen) this.#connection.send(this.side, message, extraDelayMs);
  }

  /** Ends it here; the other side is told behind all that was sent. */
  close(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#connection.sendClose(this.side, reason);
  }

  /** The host died: nobody is told. */
  vanish(): void {
    this.isOpen = false;
  }
}

interface Packet {
  /** Counts what one side sent: a kernel puts it in this order again, */
  readonly number: number;
  /** but for bulk and heartbeats, which have streams of their own. */
  readonly isInOrder: boolean;
  readonly message: SimMessage | undefined;
  readonly closing: string | undefined;
}

class Connection {
  readonly #network: Network;
  /** Of the two ends, and of what each of them sends. */
  readonly #hosts: readonly [Host, Host];
  readonly #paths: readonly [Path, Path];
  readonly ends: readonly [ConnectionEnd, ConnectionEnd];
  readonly #lastArrival: [number, number] = [0, 0];
  #sent = 0;
  /** Packets that wait for a cut to heal, by the side that sent them. */
  readonly #stuck: [Packet[], Packet[]] = [[], []];
  /** Numbers of those in order that were sent and not delivered, ascending. */
  readonly #undelivered: [number[], number[]] = [[], []];
  /** Those that have overtaken one that was stuck. */
  readonly #early: [Map<number, Packet>, Map<number, Packet>] = [new Map(), new Map()];

  constructor(network: Network, hosts: readonly [string, string], hellos: [SimHello, SimHello]) {
    this.#network = network;
    const [one, other] = hosts;
    this.#hosts = [network.host(one), network.host(other)];
    this.#paths = [network.path(one, other), network.path(other, one)];
    this.ends = [new ConnectionEnd(this, 0, hellos[1]), new ConnectionEnd(this, 1, hellos[0])];
  }

  send(side: 0 | 1, message: SimMessage, extraDelayMs: number): void {
    const isUrgent = message.kind === 'control' && message.control.type === 'heartbeat';
    const isInOrder = extraDelayMs === 0 && !isUrgent;
    this.#sendFirst(side, isInOrder, message, undefined, extraDelayMs);
  }

  sendClose(side: 0 | 1, reason: string): void {
    this.#sendFirst(side, true, undefined, reason, 0);
  }

  /** A cut has healed: what waited goes on its way. */
  resume(): void {
    for (const side of [0, 1] as const) {
      if (this.#paths[side].cut) continue;
      const waiting = this.#stuck[side].splice(0).sort((one, other) => one.number - other.number);
      for (const packet of waiting) this.#transmit(side, packet, 0);
    }
  }

  breakAt(side: 0 | 1, reason: string): void {
    const end = this.ends[side];
    if (!end.isOpen) return;
    end.isOpen = false;
    end.tellClosed(reason);
  }

  #sendFirst(
    side: 0 | 1,
    isInOrder: boolean,
    message: SimMessage | undefined,
    closing: string | undefined,
    extraDelayMs: number,
  ): void {
    this.#sent += 1;
    const number = this.#sent;
    if (isInOrder) this.#undelivered[side].push(number);
    this.#transmit(side, { number, isInOrder, message, closing }, extraDelayMs);
  }

  #transmit(side: 0 | 1, packet: Packet, extraDelayMs: number): void {
    const path = this.#paths[side];
    if (path.cut) {
      this.#stuck[side].push(packet);
      return;
    }
    const { world } = this.#network;
    const soonest = world.now + this.#network.packetMs(path) + extraDelayMs;
    // Bulk is overtaken; all else keeps its order.
    const at = packet.isInOrder ? Math.max(soonest, this.#lastArrival[side]) : soonest;
    if (packet.isInOrder) this.#lastArrival[side] = at;
    world.after(at - world.now, () => this.#arrive(side, packet));
  }

  #arrive(side: 0 | 1, packet: Packet): void {
    if (this.#paths[side].cut) {
      this.#stuck[side].push(packet);
      return;
    }
    if (!packet.isInOrder) {
      this.#deliver(side, packet);
      return;
    }
    // One that was sent before may have met a cut that this one has not.
    const undelivered = this.#undelivered[side];
    const early = this.#early[side];
    if (undelivered[0] === packet.number) {
      undelivered.shift();
      this.#deliver(side, packet);
    } else early.set(packet.number, packet);
    while (early.size > 0) {
      const next = early.get(undelivered[0] ?? -1);
      if (next === undefined) return;
      early.delete(next.number);
      undelivered.shift();
      this.#deliver(side, next);
    }
  }

  #deliver(side: 0 | 1, packet: Packet): void {
    const receiver = this.ends[1 - side] as ConnectionEnd;
    if (!(this.#hosts[1 - side] as Host).isUp) return;
    if (!receiver.isOpen) {
      // A reset goes back, if the other direction works.
      if (packet.closing === undefined && !(this.#paths[1 - side] as Path).cut) {
        this.#network.world.after(0.2, () => this.breakAt(side, 'connection reset by peer'));
      }
      return;
    }
    if (packet.message !== undefined) {
      if (packet.message.kind === 'ack') this.#network.remember(packet.message);
      receiver.deliver(packet.message, this.#network.world.now);
    } else this.breakAt((1 - side) as 0 | 1, packet.closing ?? 'closed');
  }
}

/** How a host answers a dialler; `undefined`: its process does not run. */
export type Answer = (hello: SimHello) => SimHello | undefined;

export interface Host {
  /** False while the machine is without power. */
  isUp: boolean;
  answer: Answer | undefined;
  accept: ((end: ConnectionEnd) => void) | undefined;
}

export class Network {
  readonly world: World;
  readonly #paths = new Map<string, Path>();
  readonly #hosts = new Map<string, Host>();
  #connections: Connection[] = [];
  /** The greatest acknowledgement of each term, for one that strays. */
  readonly oldAcks: AckFrame[] = [];

  constructor(world: World) {
    this.world = world;
  }

  host(name: string): Host {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = { isUp: true, answer: undefined, accept: undefined };
      this.#hosts.set(name, host);
    }
    return host;
  }

  remember(ack: AckFrame): void {
    const last = this.oldAcks.length - 1;
    this.oldAcks[this.oldAcks[last]?.term === ack.term ? last : last + 1] = ack;
  }

  path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = calmPath();
      this.#paths.set(key, path);
    }
    return path;
  }

  setCut(from: string, to: string, cut: boolean): void {
    this.path(from, to).cut = cut;
    if (cut) return;
    for (const connection of this.#connections) connection.resume();
  }

  /** Resets every connection, as a firewall that lost its state does. */
  resetAll(): void {
    for (const connection of this.#connections) {
      for (const side of [0, 1] as const) connection.breakAt(side, 'connection reset');
    }
  }

  /** Time on the way of one packet, with all that happens to it there. */
  packetMs(path: Path): number {
    const { prng } = this.world;
    let ms = path.delayMs + (path.jitterMs * prng.below(1000)) / 1000;
    while (path.lossPermille > 0 && prng.chance(path.lossPermille)) {
      this.world.struck('packet lost');
      ms += resendMs;
    }
    // The receiver's kernel drops the second one, and puts what overtook back in order.
    if (path.doublePermille > 0 && prng.chance(path.doublePermille)) {
      this.world.struck('packet doubled');
    }
    if (path.overtakePermille > 0 && prng.chance(path.overtakePermille)) {
      this.world.struck('packet overtaken');
      ms += 3 * path.jitterMs;
    }
    return ms;
  }

  /** Connects and exchanges hellos; `undefined` when nobody answers in time. */
  dial(
    from: string,
    to: string,
    hello: SimHello,
    done: (end: ConnectionEnd | undefined) => void,
  ): void {
    let isDone = false;
    const finish = (end: ConnectionEnd | undefined): void => {
      if (isDone) return;
      isDone = true;
      done(end);
    };
    this.world.after(dialMs, () => finish(undefined));
    const [out, back] = [this.path(from, to), this.path(to, from)];
    const host = this.host(to);
    if (out.cut || !host.isUp) return;
    this.world.after(this.packetMs(out), () => {
      if (out.cut || !host.isUp) return;
      const answer = host.answer?.(hello);
      if (answer === undefined || host.accept === undefined) {
        if (!back.cut) this.world.after(this.packetMs(back), () => finish(undefined));
        return;
      }
      const connection = new Connection(this, [from, to], [hello, answer]);
      this.#connections = this.#connections.filter(({ ends }) => ends[0].isOpen || ends[1].isOpen);
      this.#connections.push(connection);
      host.accept(connection.ends[1]);
      if (back.cut) return; // half-open: the dialler never learns of it
      this.world.after(this.packetMs(back), () => {
        if (isDone || !connection.ends[0].isOpen) connection.ends[0].close('nobody dials any more');
        finish(connection.ends[0].isOpen ? connection.ends[0] : undefined);
      });
    });
  }
}
