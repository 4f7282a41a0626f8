/**
 * The arbiter of a pair on hosts: `understudy witness` in the outside world, stopped and continued.
 */
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { endChild } from '../../../src/lab/child.ts';
import type { World, WorldChild } from '../../../src/lab/world.ts';
import { compiled } from '../../compiled/program.ts';
import { freeze } from '../../freeze.ts';

export interface WitnessProcessOptions {
  readonly host: string;
  readonly port: number;
  readonly stateDir: string;
  readonly secretFile: string;
}

export class WitnessProcess {
  readonly #child: WorldChild;
  readonly #stateDir: string;

  private constructor(child: WorldChild, stateDir: string) {
    this.#child = child;
    this.#stateDir = stateDir;
  }

  static async start(
    world: World,
    { host, port, stateDir, secretFile }: WitnessProcessOptions,
  ): Promise<WitnessProcess> {
    const child = world.spawn(process.execPath, [
      ...[compiled('src/cli/main.ts'), 'witness'],
      ...['--listen', `${host}:${port}`, '--state', stateDir, '--secret', secretFile],
    ]);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', () => resolve());
      child.once('exit', () => reject(new Error(`the witness did not start: ${said}`)));
    });
    return new WitnessProcess(child, stateDir);
  }

  /** Who was given each term, oldest first. */
  holders(pair: string): string[] {
    const dir = path.join(this.#stateDir, pair);
    const terms = fs.existsSync(dir)
      ? fs.readdirSync(dir).filter((n) => n.startsWith('term-'))
      : [];
    return terms.sort().map((name) => {
      const term = fs.readFileSync(path.join(dir, name), 'utf8');
      return (JSON.parse(term) as { holder: string }).holder.replace(/:.*/, '');
    });
  }

  /** It answers nothing, and its connections stay: as a host does that hangs. */
  async freeze(): Promise<void> {
    if (this.#child.pid !== undefined) await freeze(this.#child.pid);
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async close(): Promise<void> {
    this.thaw();
    await endChild(this.#child);
  }
}
