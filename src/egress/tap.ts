/**
 * Egress over a TAP device, optionally in a bridge of another network namespace.
 *
 * States: idle -> prepared -> open -> closed. A prepared tap is a plugged-in card that listens and
 * never speaks: the bridge floods it what it finds no other port for. That is just what arrives
 * between the death of the old speaker and the opening of the new one, so the last of it is kept
 * and handed over at `open` (obligation 3 of the port).
 */
import { UnderstudyError } from '../base/errors.ts';
import type { DownListener, Egress, EgressStats, FrameListener } from '../ports/egress.ts';
import { Announcer } from './announce.ts';
import { runIp } from './ip-command.ts';
import { egressLimits } from './limits.ts';
import { TapDevice } from './tap-device.ts';

export interface TapOptions {
  /** Name of the device, at most 15 characters. */
  readonly name: string;
  /** Bridge (in `netns`, if given) that the device becomes a port of. */
  readonly bridge?: string;
  /** Named network namespace (`ip netns`) that the device is moved to. */
  readonly netns?: string;
}

interface KeptFrame {
  readonly frame: Buffer;
  readonly atMs: number;
}

type State =
  | { readonly is: 'idle' }
  | { readonly is: 'preparing'; readonly done: Promise<void> }
  | { readonly is: 'prepared'; readonly tap: TapDevice; kept: KeptFrame[] }
  | { readonly is: 'open'; readonly tap: TapDevice }
  | { readonly is: 'closed' };

export class TapEgress implements Egress {
  readonly #options: TapOptions;
  readonly #announcer = new Announcer((frames) => this.send(frames));
  #state: State = { is: 'idle' };
  #released: Promise<void> = Promise.resolve();
  #frameListener: FrameListener = () => {};
  #downListener: DownListener = () => {};
  #framesSent = 0;
  #framesReceived = 0;
  #framesDropped = 0;

  constructor(options: TapOptions) {
    this.#options = options;
  }

  prepare(): Promise<void> {
    switch (this.#state.is) {
      case 'idle': {
        const done = this.#prepare();
        this.#state = { is: 'preparing', done };
        return done;
      }
      case 'preparing':
        return this.#state.done;
      case 'prepared':
        return Promise.resolve();
      case 'open':
      case 'closed':
        return Promise.reject(this.#wrongState());
    }
  }

  async open(): Promise<void> {
    await this.prepare();
    const state = this.#state;
    if (state.is !== 'prepared') throw this.#wrongState();
    this.#state = { is: 'open', tap: state.tap };
    const oldestMs = performance.now() - egressLimits.tapKeptMs;
    for (const { frame, atMs } of state.kept) {
      // Read through a call: the listener may have closed the egress in between.
      if (atMs >= oldestMs && this.stats().connected) this.#deliver(frame);
    }
  }

  send(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      const result = this.#state.is === 'open' ? this.#state.tap.write(frame) : 'dropped';
      if (result === 'sent') this.#framesSent += 1;
      else this.#framesDropped += 1;
      if (result === 'gone') this.#becomeDown();
    }
  }

  onFrame(listener: FrameListener): void {
    this.#frameListener = listener;
  }

  announce(macs: readonly string[]): void {
    if (this.#state.is === 'open') this.#announcer.start(macs);
  }

  onDown(listener: DownListener): void {
    this.#downListener = listener;
  }

  stats(): EgressStats {
    return {
      connected: this.#state.is === 'open',
      framesSent: this.#framesSent,
      framesReceived: this.#framesReceived,
      framesDropped: this.#framesDropped,
    };
  }

  async close(): Promise<void> {
    const before = this.#state;
    this.#state = { is: 'closed' };
    this.#announcer.stop();
    if (before.is === 'preparing') await before.done.catch(() => {});
    if (before.is === 'prepared' || before.is === 'open') before.tap.wake();
    await this.#released;
  }

  async #prepare(): Promise<void> {
    let tap: TapDevice | undefined;
    try {
      tap = TapDevice.create(this.#options.name);
      await this.#connect(tap.name);
    } catch (error) {
      tap?.close();
      if (this.#state.is !== 'closed') this.#state = { is: 'idle' };
      throw error;
    }
    if (this.#state.is === 'closed') {
      tap.close();
      throw this.#wrongState();
    }
    this.#state = { is: 'prepared', tap, kept: [] };
    const device = tap;
    this.#released = new Promise((resolve) => this.#watch(device, resolve));
  }

  /** Moves the device to its place. The kernel shall not speak on it by itself (IPv6). */
  async #connect(name: string): Promise<void> {
    const { bridge, netns } = this.#options;
    if (netns !== undefined) await runIp([`link set dev ${name} netns ${netns}`]);
    const master = bridge === undefined ? [] : [`link set dev ${name} master ${bridge}`];
    await runIp([`link set dev ${name} addrgenmode none`, ...master, `link set dev ${name} up`], {
      netns,
    });
  }

  /** One wait after the other for as long as the device lives; then lets go of it. */
  #watch(tap: TapDevice, released: () => void): void {
    tap.wait((readiness) => {
      const going = readiness === 'gone' || (readiness === 'readable' && !this.#drain(tap));
      if (going) this.#becomeDown();
      if (this.#state.is === 'closed') {
        tap.close();
        released();
      } else {
        this.#watch(tap, released);
      }
    });
  }

  /** Takes what is there, up to a batch; false when the device is gone. */
  #drain(tap: TapDevice): boolean {
    for (let frames = 0; frames < egressLimits.tapBatchFrames; frames += 1) {
      const frame = tap.read();
      if (frame === 'gone') return false;
      if (frame === undefined) return true;
      if (this.#state.is === 'open') this.#deliver(frame);
      else if (this.#state.is === 'prepared') this.#keep(this.#state, frame);
      else return true;
    }
    return true;
  }

  #keep(state: { kept: KeptFrame[] }, frame: Buffer): void {
    state.kept.push({ frame, atMs: performance.now() });
    // Trimmed in halves, so that the cost for a frame stays constant.
    if (state.kept.length >= 2 * egressLimits.tapKeptFrames) {
      state.kept = state.kept.slice(-egressLimits.tapKeptFrames);
    }
  }

  #deliver(frame: Buffer): void {
    this.#framesReceived += 1;
    this.#frameListener(frame);
  }

  /** Somebody deleted the device: it cannot come back under the same descriptor. */
  #becomeDown(): void {
    if (this.#state.is === 'closed') return;
    const wasOpen = this.#state.is === 'open';
    void this.close();
    const reason = new UnderstudyError('link', `The tap '${this.#options.name}' was removed`, {
      hint: 'something deleted the device or its network namespace; restart the node',
    });
    if (wasOpen) this.#downListener(reason, false);
  }

  #wrongState(): UnderstudyError {
    return new UnderstudyError(
      'link',
      `Cannot open the tap '${this.#options.name}': it is ${this.#state.is}`,
    );
  }
}
