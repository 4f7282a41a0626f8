/** The decisions of a host with a clock, and processes that are only told of. */
import { ControllerCore } from '../../../src/controller/decisions/controller-core.ts';
import type {
  FileReading,
  HostEffect,
  HostEvent,
  NodeKey,
  RestartAnswer,
} from '../../../src/controller/decisions/effects.ts';

export const tickMs = 100;

/** What a good pair file says. */
export function pairSays(
  pair: string,
  nodes: readonly string[] = ['a', 'b'],
  digest = '1',
): FileReading {
  const here = nodes.map((name) => ({ name, isLiving: false }));
  return { kind: 'pair', digest, pair, vmFile: `${pair}-vm.yaml`, nodes: here };
}

export class HostRig {
  readonly core = new ControllerCore();
  /** Pid of each process that lives. */
  readonly living = new Map<NodeKey, number>();
  /** All that was to be done, as "start web/a". */
  readonly done: string[] = [];
  readonly answers: RestartAnswer[] = [];
  /** Sees each effect before it is done. */
  onEffect: (effect: HostEffect) => void = () => undefined;
  nowMs = 1_000;
  #nextPid = 100;

  step(event: HostEvent): void {
    for (const effect of this.core.step(event, this.nowMs)) this.#perform(effect);
  }

  /** What was done since the last call. */
  take(): string[] {
    return this.done.splice(0);
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= tickMs) {
      this.nowMs += tickMs;
      this.step({ type: 'timer' });
    }
  }

  seen(file: string, reading: FileReading): void {
    this.step({ type: 'fileSeen', file, reading });
  }

  /** A process has ended, by itself or as it was told. */
  ended(node: NodeKey, code?: number, reason = `exit code ${code}`): void {
    const pid = this.living.get(node);
    if (pid === undefined) throw new Error(`${node} has no process`);
    this.living.delete(node);
    this.step({ type: 'ended', node, pid, ending: { code, reason } });
  }

  /** A process says what it is. */
  says(node: NodeKey, role: string, state: string): void {
    const pid = this.living.get(node) ?? 0;
    this.step({ type: 'statusSeen', node, pid, seen: { role, state } });
  }

  ask(what: string, force = false): RestartAnswer {
    this.step({ type: 'restartAsked', ask: 1, what, force });
    return this.answers.pop() as RestartAnswer;
  }

  placeOf(node: NodeKey): string | undefined {
    return this.core.nodes.find(({ key }) => key === node)?.place.is;
  }

  /** Both nodes run, and protect the machine. */
  protect(pair: string): void {
    this.says(`${pair}/a`, 'primary', 'alone');
    this.says(`${pair}/b`, 'backup', 'protecting');
    this.says(`${pair}/a`, 'primary', 'protected');
  }

  #digestOf(file: string): string | undefined {
    const reading = this.core.files.reading(file);
    return reading?.kind === 'pair' ? reading.digest : undefined;
  }

  #perform(effect: HostEffect): void {
    this.onEffect(effect);
    switch (effect.type) {
      case 'answer':
        this.answers.push(effect.answer);
        return;
      case 'start': {
        this.done.push(`start ${effect.node}`);
        const pid = this.#nextPid;
        this.#nextPid += 1;
        this.living.set(effect.node, pid);
        this.step({ type: 'started', node: effect.node, pid, digest: this.#digestOf(effect.file) });
        return;
      }
      case 'stop':
      case 'kill':
        this.done.push(`${effect.type} ${effect.node}`);
        return;
      case 'note':
        this.done.push(`note ${effect.about}`);
        return;
      case 'leave':
        this.done.push('leave');
        return;
    }
  }
}
