/**
 * Pages of the guest's HTTP service, read in a world by one program that stays. A program for each
 * page, as the demo has it, would start from source each time, beside a guest that needs the
 * processors.
 */
import { createInterface } from 'node:readline';
import type { World, WorldChild } from './world.ts';
import { spawnProgram } from './world-program.ts';

export interface PageQuestion {
  readonly id: number;
  readonly path: string;
}

export type PageAnswer =
  | { readonly id: number; readonly text: string }
  | { readonly id: number; readonly problem: string };

interface Asking {
  readonly resolve: (text: string) => void;
  readonly reject: (error: Error) => void;
}

export class PageReader {
  readonly #world: World;
  readonly #asking = new Map<number, Asking>();
  #child: WorldChild | undefined;
  #nextId = 1;

  /** Its program ends with the world. */
  constructor(world: World) {
    this.#world = world;
  }

  /** The body of a page. Rejects when the guest does not answer, or answers with an error. */
  read(path: string): Promise<string> {
    const child = this.#child ?? this.#start();
    const question: PageQuestion = { id: this.#nextId, path };
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#asking.set(question.id, { resolve, reject });
      child.stdin.write(`${JSON.stringify(question)}\n`);
    });
  }

  #start(): WorldChild {
    const { host, port } = this.#world.http;
    const address = `${host}:${port}`;
    const child = spawnProgram(this.#world, import.meta.url, 'page-reader-main', [address]);
    this.#child = child;
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    child.stdin.on('error', () => undefined); // it has ended, which `close` tells
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as PageAnswer;
      const asking = this.#asking.get(answer.id);
      this.#asking.delete(answer.id);
      if ('text' in answer) asking?.resolve(answer.text);
      else asking?.reject(new Error(`no page: ${answer.problem}`));
    });
    child.once('close', () => {
      this.#child = undefined;
      for (const { reject } of this.#asking.values()) reject(new Error(`no reader: ${said}`));
      this.#asking.clear();
    });
    return child;
  }
}
