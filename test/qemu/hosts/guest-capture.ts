/**
 * Who speaks for the guest, as the outside world sees it: the uplinks on which frames with the
 * guest's address arrive, in order. This knows nothing of nodes and terms: it is the witness
 * against them.
 */
import { createInterface } from 'node:readline';
import type { World, WorldChild } from '../../../src/lab/world.ts';
import { compiled } from '../../compiled/program.ts';

/** Frames of the guest from one uplink, with none from another one in between. */
export interface SpeakerRun {
  readonly uplink: string;
  readonly frames: number;
  /** Milliseconds since 1970, a few late. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

interface Asking {
  readonly resolve: (runs: SpeakerRun[]) => void;
  readonly reject: (error: Error) => void;
}

export class GuestCapture {
  readonly #child: WorldChild;
  readonly #asking: Asking[] = [];
  #said = '';
  #hasEnded = false;

  private constructor(child: WorldChild) {
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-2000);
    });
    child.stdin.on('error', () => undefined); // it has ended, which `close` tells
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#asking.shift()?.resolve(JSON.parse(line) as SpeakerRun[]);
    });
    child.once('close', () => {
      this.#hasEnded = true;
      for (const { reject } of this.#asking.splice(0)) reject(this.#ended());
    });
  }

  /** `uplinks` are interfaces of the world. What arrives before this resolves is not seen. */
  static async open(
    world: Pick<World, 'spawn'>,
    mac: string,
    uplinks: readonly string[],
  ): Promise<GuestCapture> {
    const program = compiled('test/qemu/hosts/guest-capture-main.ts');
    const child = world.spawn(process.execPath, [program, mac, ...uplinks]);
    const capture = new GuestCapture(child);
    await capture.runs();
    return capture;
  }

  /** All that was seen until now, oldest first. */
  runs(): Promise<SpeakerRun[]> {
    if (this.#hasEnded) return Promise.reject(this.#ended());
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject });
      this.#child.stdin.write('\n');
    });
  }

  #ended(): Error {
    return new Error(`the capture has ended: ${this.#said}`);
  }
}
