/** Runs a command in a machine of its own, and ends as the command does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkVariable } from '../../container/machine-spec.ts';
import { requireRootUser } from '../../container/unpack.ts';
import { containerBoot, defaultGuestDir } from '../../lab/guest-dir.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { fillNewDirectory } from '../../restore/new-directory.ts';
import { exitCodes, failuresEndWith } from '../exit.ts';
import { KeptStream } from './exec/kept-stream.ts';
import { execPorts } from './exec/life.ts';
import { type Ended, Lives, type LivesOptions } from './exec/lives.ts';
import { everyOf, inputOf, triesOf } from './exec/options.ts';
import { firstNode, secondNode } from './new-pair.ts';
import { machineOf } from './run-machine.ts';

export interface ExecOptions {
  readonly root?: string;
  readonly memory: string;
  readonly every: string;
  readonly tries: string;
  readonly in?: string;
  readonly env: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly guest?: string;
  readonly keep?: string;
  readonly json?: boolean;
}

/** Those that end a process unless it does something else with them. */
const passed = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Sets the exit code. Throws, which ends with 125, when there is something wrong. */
export async function exec(words: readonly string[], options: ExecOptions): Promise<void> {
  failuresEndWith(exitCodes.notTheirs);
  const everyMs = everyOf(options.every);
  const tries = triesOf(options.tries);
  for (const text of options.env) checkVariable(text);
  const boot = containerBoot(path.resolve(options.guest ?? defaultGuestDir));
  const described = { as: 'exec', memory: options.memory, boot };
  const vm = machineOf({ ...described, nics: 0, ports: execPorts });
  if (options.root !== undefined) requireRootUser();
  const input = inputOf(options.in);
  const { env, user, workdir: workingDir, root } = options;
  const machine = {
    ...{ root, vm, boot, input },
    wishes: { command: words, env, user, workingDir },
  };
  await inDirectory(options.keep, async (dir) => {
    const ended = await ran({ dir, machine, everyMs, tries }, options.json === true);
    process.exitCode = ended;
  });
}

/** Returns the exit code. */
async function ran(
  work: Pick<LivesOptions, 'dir' | 'machine' | 'everyMs' | 'tries'>,
  json: boolean,
): Promise<number> {
  const tell = (text: string): void => {
    process.stderr.write(`understudy: ${text}\n`);
  };
  const stopped = new AbortController();
  const isHeld = work.tries > 1;
  const streams = [
    new KeptStream({
      name: 'standard output',
      isHeld,
      print: printerTo(process.stdout, pipeBroken),
    }),
    new KeptStream({
      name: 'standard error',
      isHeld,
      print: printerTo(process.stderr, pipeBroken),
    }),
  ] as const;
  const lives = new Lives({ ...work, streams, tell, signal: stopped.signal });
  function pipeBroken(): void {
    lives.passSignal(os.constants.signals.SIGPIPE);
  }
  const begun = performance.now();
  let endedBy: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    const number = os.constants.signals[name];
    if (lives.isRunning) {
      lives.passSignal(number);
      return;
    }
    // Nobody is there yet to do anything else with it.
    endedBy ??= 128 + number;
    stopped.abort();
  };
  for (const name of passed) process.on(name, onSignal);
  try {
    const ended = await lives.run();
    if (json) tellJson(ended, streams, performance.now() - begun);
    return ended.code;
  } catch (thrown) {
    if (endedBy === undefined) throw thrown;
    return endedBy;
  } finally {
    for (const name of passed) process.off(name, onSignal);
  }
}

function tellJson(ended: Ended, streams: readonly [KeptStream, KeptStream], ms: number): void {
  const [{ position: stdoutBytes }, { position: stderrBytes }] = streams;
  const { code: exitCode, ...more } = ended;
  const facts = { exitCode, stdoutBytes, stderrBytes, ...more, ms: Math.round(ms) };
  process.stderr.write(`${JSON.stringify(facts)}\n`);
}

/** Who does not read any more is told of to the command, as to any other, and gets nothing more. */
function printerTo(stream: NodeJS.WriteStream, onBroken: () => void): (bytes: Buffer) => void {
  let isBroken = false;
  stream.on('error', () => {
    if (!isBroken) onBroken();
    isBroken = true;
  });
  return (bytes) => {
    if (!isBroken && bytes.length > 0) stream.write(bytes);
  };
}

/** In `keep`, which stays, or in a directory that goes with all that is in it. */
async function inDirectory(
  keep: string | undefined,
  work: (dir: string) => Promise<void>,
): Promise<void> {
  if (keep !== undefined) {
    const dir = path.resolve(keep);
    // What is in it when the command has failed is what it is kept for.
    await fillNewDirectory(dir, () => Promise.resolve(), '--keep');
    await work(dir);
    return;
  }
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-exec-'));
  try {
    await work(dir);
  } finally {
    removeAll(dir);
  }
}

/** Also what nodes that did not end in good order have left. */
function removeAll(dir: string): void {
  for (const name of fs.readdirSync(dir)) {
    const pairFile = path.join(dir, name, 'pair.yaml');
    if (!fs.existsSync(pairFile)) continue;
    for (const node of [firstNode, secondNode]) {
      const { runDir } = loadPairConfig(pairFile, node).self;
      fs.rmSync(runDir, { recursive: true, force: true });
    }
  }
  fs.rmSync(dir, { recursive: true, force: true });
}
