/**
 * A file system in memory that can lose power, for tests: what was not flushed may be gone.
 *
 * Each change is a step with a number; at a given one the machine dies, before, in the middle of or
 * after it, and everything after that fails. `afterPowerLoss` is what a disk may then hold: flushed
 * content and names surely, of the rest each change or not, by chance. `afterKill` is what the
 * kernel still has.
 */
import path from 'node:path';
import type { Files, StoreFile } from '../../src/store/files.ts';

interface Node {
  content: Buffer;
  /** What is on the disk. */
  flushed: Buffer;
}

/** Names of one directory: as they are, and what of them is on the disk. */
interface Directory {
  readonly names: Map<string, Node>;
  flushed: Map<string, Node>;
}

export type Chance = () => boolean;

export interface Fault {
  /** Number of the change at which it happens. */
  readonly step: number;
  readonly when: 'before' | 'torn' | 'after';
  /** Thrown as a system call would, and the machine lives on. Else it dies. */
  readonly code?: 'ENOSPC' | 'EIO';
}

class PowerLoss extends Error {}

const missing = (file: string) => Object.assign(new Error(`ENOENT: ${file}`), { code: 'ENOENT' });

export class VolatileFiles implements Files {
  steps = 0;
  fault: Fault | undefined;
  isDead = false;
  /** What each step was, for the message of a test that fails. */
  readonly trace: string[] = [];
  readonly #directories = new Map<string, Directory>();

  async makeDirectory(directory: string): Promise<void> {
    this.#live();
    // The name of a directory is made and flushed at once: `realFiles` does it in one call, too.
    if (this.#directories.has(directory)) return;
    await this.#step(`mkdir ${directory}`, () => {
      for (let at = directory; !this.#directories.has(at); at = path.dirname(at)) {
        this.#directories.set(at, { names: new Map(), flushed: new Map() });
      }
    });
  }

  async list(directory: string): Promise<string[]> {
    this.#live();
    const below = [...this.#directories.keys()].filter((name) => path.dirname(name) === directory);
    const files = [...(this.#directories.get(directory)?.names.keys() ?? [])];
    return [...files, ...below].map((name) => path.basename(name));
  }

  async create(file: string): Promise<StoreFile> {
    const directory = this.#directory(file);
    if (directory.names.has(file)) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' });
    const node: Node = { content: Buffer.alloc(0), flushed: Buffer.alloc(0) };
    await this.#step(`create ${file}`, () => directory.names.set(file, node));
    return this.#handle(file, node);
  }

  async open(file: string): Promise<StoreFile> {
    return this.#handle(file, this.#node(file));
  }

  async size(file: string): Promise<number> {
    this.#live();
    if (this.#directories.has(file)) return 0;
    return this.#node(file).content.length;
  }

  async rename(from: string, to: string): Promise<void> {
    const node = this.#node(from);
    await this.#step(`rename ${from} ${to}`, () => {
      this.#directory(from).names.delete(from);
      this.#directory(to).names.set(to, node);
    });
  }

  async remove(file: string): Promise<void> {
    this.#node(file);
    await this.#step(`remove ${file}`, () => this.#directory(file).names.delete(file));
  }

  async syncDirectory(directory: string): Promise<void> {
    const found = this.#directories.get(directory);
    if (found === undefined) throw missing(directory);
    await this.#step(`flush ${directory}`, () => {
      found.flushed = new Map(found.names);
    });
  }

  /** What the kernel has when the process was killed. */
  afterKill(): VolatileFiles {
    return this.#copy(
      (directory) => directory.names,
      (node) => node.content,
    );
  }

  /** What a disk has when the power went. `keeps` decides about what was not flushed. */
  afterPowerLoss(keeps: Chance): VolatileFiles {
    return this.#copy(
      ({ names, flushed }) => {
        const left = new Map(flushed);
        for (const [name, node] of names) if (!flushed.has(name) && keeps()) left.set(name, node);
        for (const name of flushed.keys()) if (!names.has(name) && keeps()) left.delete(name);
        return left;
      },
      ({ content, flushed }) => {
        if (content.equals(flushed) || !keeps()) return flushed;
        // The length arrived and the bytes did not, which some file systems do.
        const torn = Buffer.from(content);
        if (keeps()) torn.fill(0, flushed.length);
        return torn;
      },
    );
  }

  /** Flips a bit in a file, as a disk that rots does. */
  flip(file: string, at: number): void {
    const node = this.#node(file);
    node.content = Buffer.from(node.content);
    node.content[at] = (node.content[at] ?? 0) ^ 0x10;
  }

  files(): string[] {
    return [...this.#directories.values()].flatMap(({ names }) => [...names.keys()]);
  }

  #copy(
    namesOf: (directory: Directory) => Map<string, Node>,
    contentOf: (node: Node) => Buffer,
  ): VolatileFiles {
    const copy = new VolatileFiles();
    for (const [directory, found] of this.#directories) {
      const names = new Map<string, Node>();
      for (const [name, node] of namesOf(found)) {
        const content = contentOf(node);
        names.set(name, { content, flushed: content });
      }
      copy.#directories.set(directory, { names, flushed: new Map(names) });
    }
    return copy;
  }

  #handle(file: string, node: Node): StoreFile {
    return {
      read: async (offset, bytes) => {
        this.#live();
        return Buffer.from(node.content.subarray(offset, offset + bytes));
      },
      append: (bytes) =>
        this.#step(`append ${bytes.length} ${file}`, (share) => {
          const part = bytes.subarray(0, Math.floor(bytes.length * share));
          node.content = Buffer.concat([node.content, part]);
        }),
      sync: () =>
        this.#step(`flush ${file}`, () => {
          node.flushed = node.content;
        }),
      close: async () => this.#live(),
    };
  }

  /** One change. A torn append writes half; other changes are whole or not at all. */
  async #step(what: string, change: (share: number) => void): Promise<void> {
    this.#live();
    const { fault } = this;
    const number = this.steps;
    this.steps += 1;
    this.trace.push(what);
    await Promise.resolve();
    if (fault?.step !== number) {
      change(1);
      return;
    }
    if (fault.when === 'after') change(1);
    if (fault.when === 'torn' && what.startsWith('append')) change(0.5);
    if (fault.code !== undefined) {
      throw Object.assign(new Error(`${fault.code}: ${what}`), { code: fault.code });
    }
    this.isDead = true;
    throw new PowerLoss(what);
  }

  #live(): void {
    if (this.isDead) throw new PowerLoss('the machine is dead');
  }

  #directory(file: string): Directory {
    const directory = this.#directories.get(path.dirname(file));
    if (directory === undefined) throw missing(file);
    return directory;
  }

  #node(file: string): Node {
    this.#live();
    const node = this.#directories.get(path.dirname(file))?.names.get(file);
    if (node === undefined) throw missing(file);
    return node;
  }
}
