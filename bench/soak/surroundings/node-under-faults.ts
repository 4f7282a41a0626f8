/**
 * One node of the soak: started again when it ends, as a service manager does, and looked at all
 * the time, as somebody with `status` would.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeProcess } from '../../../src/lab/node-process.ts';
import type { NodeStatus } from '../../../src/node/control-server.ts';
import type { WatchEvent } from '../../../src/observe/control-client.ts';

export interface NodeUnderFaultsOptions {
  readonly name: string;
  readonly start: () => NodeProcess;
  /** `undefined`: it did not answer in time, or nobody is there. */
  readonly onLook: (status: NodeStatus | undefined) => void;
  readonly onEvent: (event: WatchEvent) => void;
  readonly onEnd: (code: number | null) => void;
}

const lookEveryMs = 150;
/** Longer than a node that is healthy takes to answer on a busy host. */
const answerMs = 1_500;
const restartMs = 1_000;

export class NodeUnderFaults {
  readonly name: string;
  readonly #options: NodeUnderFaultsOptions;
  #process: NodeProcess | undefined;
  #pid: number | undefined;
  #status: NodeStatus | undefined;
  #isHeld = false;
  #isClosed = false;

  constructor(options: NodeUnderFaultsOptions) {
    this.#options = options;
    this.name = options.name;
    void this.#look();
  }

  /** As it was seen last. */
  get status(): NodeStatus | undefined {
    return this.#status;
  }

  get process(): NodeProcess {
    if (this.#process === undefined) throw new Error(`node ${this.name} was not started`);
    return this.#process;
  }

  /** Known from its first answer on; stays what it was while it is stopped. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error(`node ${this.name} has not answered yet`);
    return this.#pid;
  }

  start(): void {
    const process = this.#options.start();
    this.#process = process;
    process.events.subscribe(this.#options.onEvent);
    void process.exited.then((code) => this.#ended(code));
  }

  /** It is not started again when it ends. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (this.#process?.isRunning === false) this.start();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #ended(code: number | null): Promise<void> {
    if (this.#isClosed) return;
    this.#status = undefined;
    if (this.#isHeld) return;
    this.#options.onEnd(code);
    await sleep(restartMs);
    if (!this.#isClosed && !this.#isHeld && this.#process?.isRunning === false) this.start();
  }

  async #look(): Promise<void> {
    while (!this.#isClosed) {
      const process = this.#process;
      if (process?.isRunning === true) {
        const late = sleep(answerMs, undefined, { ref: false });
        const status = await Promise.race([process.status().catch(() => undefined), late]);
        if (status !== undefined) this.#pid = status.pid;
        this.#status = process.isRunning ? status : undefined;
      }
      if (process !== undefined) this.#options.onLook(this.#status);
      await sleep(lookEveryMs);
    }
  }
}
