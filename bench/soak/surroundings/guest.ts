/** What the guest of the soak says of itself: which boot it is in, and what its disk did. */
import { connectControl } from '../../../src/observe/control-client.ts';
import { runOnConsole as run } from '../guest-console.ts';
import type { SoakPair } from './pair.ts';

export interface GuestFacts {
  /** Another one after each boot. */
  readonly bootId: string;
  /** Errors that its programs met on its disk. */
  readonly diskErrors: number;
}

const growthFile = '/data/growth';
const bootIdFile = '/proc/sys/kernel/random/boot_id';

/** Throws when the guest does not answer. */
export async function guestFacts(pair: SoakPair, control: string): Promise<GuestFacts> {
  const progress = await pair.pages.read('/work/progress');
  return { bootId: await bootIdBy(control), diskErrors: countOf(progress, 'errors') };
}

/** Has the guest use its disk for the whole soak: a full one, or one that hangs, meets requests. */
export async function useDisk(pair: SoakPair, seconds: number): Promise<void> {
  await pair.pages.read(`/work?kind=directio&n=${Math.ceil(seconds)}`);
}

async function bootIdBy(control: string): Promise<string> {
  const said = await run(control, `cat ${bootIdFile}`);
  const [bootId] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(said) ?? [];
  if (bootId === undefined) throw new Error(`the guest has no boot id: ${said.slice(-200)}`);
  return bootId;
}

/** Gives what `writeGrowth` wrote back to the images: it is to be a hole there. */
export const freeGrowth = (control: string): Promise<string> =>
  run(control, `rm -f ${growthFile}; sync; fstrim /data`);

/** Has the guest write where its images have holes yet. Returns how to leave its console. */
export function writeGrowth(control: string): Promise<() => void> {
  const write = `dd if=/dev/urandom of=${growthFile} bs=64k count=16 conv=fsync`;
  return paste(control, `${write} 2>/dev/null &\n`);
}

/** Types on the guest's console, and waits for nothing. Returns how to leave it. */
export async function paste(control: string, text: string): Promise<() => void> {
  const socket = await connectControl(control);
  socket.on('error', () => undefined); // its node may end before it does
  socket.resume();
  socket.write(`{"command":"console"}\n${text}`);
  return () => void socket.destroy();
}

const countOf = (text: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
