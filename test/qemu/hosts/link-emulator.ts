/**
 * An emulated network between hosts, for kernels without netem: the handle on the process that
 * carries the frames (link-emulator-main.ts). What is resolved is in force.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { endChild } from '../../../src/lab/child.ts';
import { compiled } from '../../compiled/program.ts';
import { type Impairment, unimpaired } from './network-path.ts';

export interface EmulatorHost {
  readonly name: string;
  /** Network namespace in which the host's end of the link, `mgmt`, appears. */
  readonly netns: string;
  /** With the prefix, as `ip address add` takes it. */
  readonly address: string;
}

export type EmulatorRequest = { readonly id: number } & (
  | { readonly type: 'open'; readonly hosts: readonly EmulatorHost[]; readonly seed: number }
  | {
      readonly type: 'impair';
      readonly from: string;
      readonly to: string;
      readonly impairment: Impairment;
    }
);

export interface EmulatorAnswer {
  readonly id: number;
  readonly problem?: string | undefined;
}

type Told<T> = T extends unknown ? Omit<T, 'id'> : never;

export class LinkEmulator {
  readonly #child: ChildProcess;
  readonly #hosts: readonly string[];
  /** By request: what its answer, or the end of the process, is told to. */
  readonly #asking = new Map<number, (problem: string | undefined) => void>();
  #nextId = 1;

  private constructor(child: ChildProcess, hosts: readonly string[]) {
    this.#child = child;
    this.#hosts = hosts;
    child.on('message', ({ id, problem }: EmulatorAnswer) => this.#answered(id, problem));
    child.once('exit', () => {
      for (const id of this.#asking.keys()) this.#answered(id, 'the emulated network has ended');
    });
  }

  static async open(hosts: readonly EmulatorHost[], seed: number): Promise<LinkEmulator> {
    const child = fork(compiled('test/qemu/hosts/link-emulator-main.ts'), {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const names = hosts.map(({ name }) => name);
    const emulator = new LinkEmulator(child, names);
    try {
      await emulator.#ask({ type: 'open', hosts, seed });
      return emulator;
    } catch (error) {
      await emulator.close();
      throw error;
    }
  }

  /**
   * What frames from one host to another meet from now on; what is not named is as it should be.
   */
  impair(from: string, to: string, impairment: Partial<Impairment>): Promise<void> {
    return this.#ask({ type: 'impair', from, to, impairment: { ...unimpaired, ...impairment } });
  }

  /** The same in both directions. */
  async impairBoth(one: string, other: string, impairment: Partial<Impairment>): Promise<void> {
    await this.impair(one, other, impairment);
    await this.impair(other, one, impairment);
  }

  /** The same between all hosts. */
  async impairAll(impairment: Partial<Impairment>): Promise<void> {
    for (const [index, one] of this.#hosts.entries()) {
      for (const other of this.#hosts.slice(index + 1)) {
        await this.impairBoth(one, other, impairment);
      }
    }
  }

  heal(): Promise<void> {
    return this.impairAll({});
  }

  close(): Promise<void> {
    return endChild(this.#child);
  }

  #ask(told: Told<EmulatorRequest>): Promise<void> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#asking.set(id, (problem) => {
        if (problem === undefined) resolve();
        else reject(new Error(problem));
      });
      this.#child.send({ id, ...told }, (error) => {
        if (error !== null) this.#answered(id, error.message);
      });
    });
  }

  #answered(id: number, problem: string | undefined): void {
    this.#asking.get(id)?.(problem);
    this.#asking.delete(id);
  }
}
