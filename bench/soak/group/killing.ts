/** Kills the coordinator of a set, or a member's primary, at a step of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bank } from './bank.ts';
import { type Kill, KillMoment, type Passing } from './steps.ts';
import { GroupVerb } from './verbs.ts';

export interface Killed {
  readonly kill: Kill;
  /** Whether the step came. */
  readonly isDone: boolean;
  /** There is a set all the same. */
  readonly isTaken: boolean;
  /** For how long members that live held their outputs, as their nodes say. */
  readonly heldMs: readonly number[];
  /** Members that live, drew a line, and never said that it ended. */
  readonly silent: number;
}

/** A line ends by itself long before; its node may have to wait for a processor. */
const lineEndMs = 5_000;
const pollMs = 20;

/** Everybody is protected again when it resolves. */
export async function killAt(bank: Bank, kill: Kill): Promise<Killed> {
  const { members } = bank;
  const primaries = await Promise.all(members.map((member) => member.primary()));
  const moment = new KillMoment(kill, members.length);
  const drawn = new Set<number>();
  const before = bank.lines.length;
  let struck: Promise<unknown> | undefined;
  const verb = new GroupVerb(['take', '--group', bank.groupFile, '--json']);
  bank.onPassing = (passing: Passing) => {
    if (passing.what === 'line') drawn.add(passing.member);
    if (!moment.take(passing)) return;
    if (kill.victim === 'coordinator') {
      verb.kill('SIGKILL');
      struck = verb.ended;
    } else struck = primaries[kill.victim]?.killWithMachine();
  };
  const { code } = await verb.ended;
  await struck;
  bank.onPassing = () => undefined;
  const living = [...drawn].filter((member) => member !== kill.victim);
  const ended = () => bank.lines.slice(before).filter(({ member }) => member !== kill.victim);
  const deadline = performance.now() + lineEndMs;
  while (ended().length < living.length && performance.now() < deadline) await sleep(pollMs);
  const lines = ended();
  await Promise.all(members.map((member) => member.protect()));
  return {
    ...{ kill, isDone: struck !== undefined, isTaken: code === 0 },
    heldMs: lines.map(({ heldMs }) => heldMs),
    silent: Math.max(0, living.length - lines.length),
  };
}
