/** No outside world: every frame is dropped. For guests without a network, and for tests. */
import type { DownListener, Egress, EgressStats, FrameListener } from '../ports/egress.ts';

export class NoEgress implements Egress {
  #framesDropped = 0;

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  send(frames: readonly Buffer[]): void {
    this.#framesDropped += frames.length;
  }

  onFrame(_listener: FrameListener): void {}

  announce(_macs: readonly string[]): void {}

  onDown(_listener: DownListener): void {}

  stats(): EgressStats {
    return {
      connected: false,
      framesSent: 0,
      framesReceived: 0,
      framesDropped: this.#framesDropped,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
