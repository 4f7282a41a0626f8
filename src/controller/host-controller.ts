/**
 * Drives the decisions of a host (decisions/controller-core.ts): tells them what happened, does
 * what they say, and says what became of it. Nothing is decided here.
 */
import fs from 'node:fs';
import path from 'node:path';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import { withResolvers } from '../base/with-resolvers.ts';
import { Concerns } from '../node/concerns.ts';
import type { OpenLog } from '../node/logger.ts';
import { loadPairConfig } from '../node/pair-file/pair-config.ts';
import { Reporter } from '../node/report.ts';
import { livingNode } from '../node/run-dir.ts';
import { ControllerCore } from './decisions/controller-core.ts';
import {
  type HostEffect,
  type HostEvent,
  type NodeKey,
  nameOf,
  type RestartAnswer,
} from './decisions/effects.ts';
import { HostControl } from './host-control.ts';
import { controlOfHost, HostRunDir } from './host-run-dir.ts';
import { type HostStatus, hostStatus, isSilence, silence } from './host-status.ts';
import { type FoundProcess, HostedNode, type HostedNodeOptions } from './hosted-node.ts';
import { controllerLimits } from './limits.ts';
import { livingRecords, type NodeRecord, removeRecord, writeRecord } from './node-record.ts';
import { PairDirectory, requireDirectory } from './pair-directory.ts';
import { digestOf } from './read-pair-file.ts';

export interface HostControllerOptions extends OpenLog {
  /** Of pair files; absolute. */
  readonly dir: string;
  /** Only nodes of these names; all of this host when it is empty. */
  readonly names: readonly string[];
  readonly runDir: string;
}

type StartEffect = Extract<HostEffect, { type: 'start' }>;

export class HostController {
  readonly #options: HostControllerOptions;
  readonly #core = new ControllerCore();
  readonly #hosted = new Map<NodeKey, HostedNode>();
  readonly #concerns: Concerns;
  readonly #runDir: HostRunDir;
  readonly #events: HostEvent[] = [];
  #isStepping = false;
  #directory: PairDirectory | undefined;
  #control: HostControl | undefined;
  #nextAsk = 1;
  readonly #asks = new Map<number, (answer: RestartAnswer) => void>();
  /** Whether nodes go on. */
  readonly #over = withResolvers<{ readonly keep: boolean }>();

  /** Throws as `requireDirectory` and `HostRunDir.claim`. */
  constructor(options: HostControllerOptions) {
    requireDirectory(options.dir);
    this.#options = options;
    this.#concerns = new Concerns({ reporter: new Reporter(), log: options.log });
    this.#runDir = HostRunDir.claim(options.runDir, options.dir);
  }

  /** Runs until `stop`. Rejects when the directory or the control socket cannot be had. */
  async run(): Promise<void> {
    const { dir, names, log } = this.#options;
    const timers: NodeJS.Timeout[] = [];
    let keep = true;
    const known = this.#adoptRecorded();
    try {
      await this.#openControl();
      log.info({ dir, runDir: this.#runDir.path, found: known.length }, 'the host begins');
      this.#directory = new PairDirectory({
        ...{ dir, names, known },
        onSeen: (file, reading) => this.#step({ type: 'fileSeen', file, reading }),
        onGone: (file) => this.#step({ type: 'fileGone', file }),
        onTrouble: (problem) => this.#concerns.tell('directory', problem),
      });
      timers.push(setInterval(() => this.#step({ type: 'timer' }), controllerLimits.tickMs));
      timers.push(setInterval(() => void this.#refresh(), controllerLimits.statusMs));
      timers.push(setInterval(() => void this.#mendRunDir(), controllerLimits.lookMs));
      ({ keep } = await this.#over.promise);
      log.info({ keep }, keep ? 'the host ends, and its nodes go on' : 'the host ends');
    } finally {
      for (const timer of timers) clearInterval(timer);
      this.#directory?.close();
      this.#control?.close();
      for (const node of this.#hosted.values()) node.leave();
      this.#runDir.release({ isEmpty: !keep });
    }
  }

  /** Stops all nodes, and ends. */
  stop(): void {
    this.#step({ type: 'stopAsked' });
  }

  status(): HostStatus {
    const { dir } = this.#options;
    const { present: concerns } = this.#concerns;
    return hostStatus({ dir, core: this.#core, hosted: this.#hosted, concerns });
  }

  async #openControl(): Promise<void> {
    this.#control = await HostControl.start({
      path: controlOfHost(this.#runDir.path),
      status: () => this.status(),
      restart: (what, { force }) => this.#restart(what, force),
      stop: (how) => (how.keep ? this.#over.resolve(how) : this.stop()),
    });
  }

  /** Somebody may take it away, as logind does with what a user has in /dev/shm. */
  async #mendRunDir(): Promise<void> {
    if (fs.existsSync(controlOfHost(this.#runDir.path))) return;
    try {
      this.#runDir.make();
      this.#control?.close();
      await this.#openControl();
      this.#options.log.warn({ runDir: this.#runDir.path }, 'its run directory was made anew');
    } catch (thrown) {
      this.#options.log.warn({ error: reasonOf(thrown) }, 'its run directory cannot be made anew');
    }
  }

  /** Nodes that an earlier host has left running; returns the names of their files. */
  #adoptRecorded(): string[] {
    return livingRecords(this.#runDir.records).map(({ node, file, control, pid, digest }) => {
      this.#adopt(node, control, { pid, isHosted: digest !== undefined });
      this.#step({ type: 'found', node, file, pid, digest });
      return file;
    });
  }

  async #restart(what: string, force: boolean): Promise<readonly string[]> {
    // What a node was a second ago is not what it is now.
    await this.#refresh();
    const ask = this.#nextAsk;
    this.#nextAsk += 1;
    const answered = withResolvers<RestartAnswer>();
    this.#asks.set(ask, answered.resolve);
    this.#step({ type: 'restartAsked', ask, what, force });
    const answer = await answered.promise;
    if ('nodes' in answer) return answer.nodes;
    throw new UnderstudyError(answer.code, answer.problem, { hint: answer.hint });
  }

  /** What the nodes say of themselves. */
  async #refresh(): Promise<void> {
    await Promise.all(
      [...this.#hosted].map(async ([node, hosted]) => {
        await hosted.refresh();
        const { status, pid, isSilent } = hosted;
        if (this.#hosted.get(node) !== hosted) return;
        const problem = 'does not answer: see whether its process hangs';
        this.#concerns.tell(silence(node), isSilent ? problem : undefined);
        const seen = status === undefined ? undefined : { role: status.role, state: status.state };
        this.#step({ type: 'statusSeen', node, pid, seen });
      }),
    );
  }

  #step(event: HostEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of this.#core.step(next, performance.now())) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#tellConcerns();
  }

  #tellConcerns(): void {
    const problems = this.#core.problems();
    for (const { about } of this.#concerns.present) {
      const isOurs = about !== 'directory' && !isSilence(about);
      if (isOurs && !problems.has(about)) this.#concerns.tell(about, undefined);
    }
    for (const [about, problem] of problems) this.#concerns.tell(about, problem);
  }

  #perform(effect: HostEffect): void {
    const { log } = this.#options;
    switch (effect.type) {
      case 'start':
        this.#start(effect);
        return;
      case 'stop':
        log.info({ node: effect.node, nodePid: effect.pid }, 'stopping a node');
        this.#hosted.get(effect.node)?.stop();
        return;
      case 'kill':
        log.warn({ node: effect.node, nodePid: effect.pid }, 'a node does not end: killing it');
        this.#hosted.get(effect.node)?.kill();
        return;
      case 'answer':
        this.#asks.get(effect.ask)?.(effect.answer);
        this.#asks.delete(effect.ask);
        return;
      case 'note':
        log.info({ about: effect.about }, effect.message);
        return;
      case 'leave':
        this.#over.resolve({ keep: false });
        return;
    }
  }

  #start({ node, file }: StartEffect): void {
    const pairFile = path.join(this.#options.dir, file);
    try {
      this.#runDir.make();
      const { self } = loadPairConfig(pairFile, nameOf(node));
      const control = `${self.runDir}/control`;
      const living = livingNode(self.runDir);
      if (living !== undefined) {
        this.#adopt(node, control, { pid: living, isHosted: false });
        this.#record({ node, file, control, pid: living });
        this.#step({ type: 'started', node, pid: living, digest: undefined });
        return;
      }
      const digest = digestOf(pairFile);
      const what = { pairFile, name: self.name };
      const hosted = HostedNode.start(this.#handlers(node, control), what);
      const { pid } = hosted;
      this.#hosted.set(node, hosted);
      this.#record({ node, file, digest, control, pid });
      this.#options.log.info({ node, nodePid: pid }, 'started a node');
      this.#step({ type: 'started', node, pid, digest });
    } catch (thrown) {
      this.#step({ type: 'notStarted', node, reason: reasonOf(thrown) });
    }
  }

  /** It runs, whether or not the next host will know it by this. */
  #record(record: NodeRecord): void {
    try {
      writeRecord(this.#runDir.recordOf(record.node), record);
    } catch (thrown) {
      const { node } = record;
      this.#options.log.warn({ node, error: reasonOf(thrown) }, 'a node cannot be recorded');
    }
  }

  #adopt(node: NodeKey, control: string, found: FoundProcess): void {
    this.#hosted.set(node, HostedNode.adopt(this.#handlers(node, control), found));
    this.#options.log.info(
      { node, nodePid: found.pid },
      'found a node that runs, and goes on with it',
    );
  }

  #handlers(node: NodeKey, control: string): HostedNodeOptions {
    const { log, output } = this.#options;
    return {
      control,
      output: this.#runDir.outputOf(node),
      // Two pairs may have nodes of one name.
      onLine: (line) => {
        if (line.startsWith('{')) output.write(`{"of":"${node}",${line.slice(1)}\n`);
        else log.warn({ of: node, said: line }, 'a node said');
      },
      onEnded: (ending) => {
        const pid = this.#hosted.get(node)?.pid ?? 0;
        this.#hosted.delete(node);
        removeRecord(this.#runDir.recordOf(node));
        this.#concerns.tell(silence(node), undefined);
        log.info({ node, nodePid: pid, reason: ending.reason }, 'a node has ended');
        this.#step({ type: 'ended', node, pid, ending });
      },
    };
  }
}
