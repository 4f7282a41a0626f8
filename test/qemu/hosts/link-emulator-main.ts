/**
 * The emulated network as a process of its own, so that a busy test distorts it as little as can
 * be.
 *
 * A switch in user space: one TAP device in each host's namespace, a path for each ordered pair of
 * hosts (network-path.ts). Frames go where their destination was last heard, or everywhere.
 * It is told what to do by its parent (link-emulator.ts) and ends with it.
 */
import os from 'node:os';
import { asError } from '../../../src/base/errors.ts';
import { runIp } from '../../../src/egress/ip-command.ts';
import { TapDevice } from '../../../src/egress/tap-device.ts';
import type { EmulatorAnswer, EmulatorHost, EmulatorRequest } from './link-emulator.ts';
import { NetworkPath } from './network-path.ts';

/** So many frames of one host are taken before the others have their turn. */
const FRAMES_A_TURN = 256;

interface Port {
  readonly host: string;
  readonly tap: TapDevice;
  /** To each other host, by its name. */
  readonly paths: Map<string, NetworkPath>;
}

// A cable waits for no processor: frames that are dropped because this process was not served look
// like a network's fault, and after a few of them TCP is silent for a second. Before any thread.
os.setPriority(-15);

const ports = new Map<string, Port>();
/** Where each address was last heard. */
const hostOf = new Map<string, string>();

async function plug({ name, netns, address }: EmulatorHost): Promise<void> {
  // The device is made here, under a name that nobody else here has, and then given to the host.
  const tap = TapDevice.create(`em-${name}-${process.pid}`);
  ports.set(name, { host: name, tap, paths: new Map() });
  await runIp([`link set dev ${tap.name} netns ${netns} name mgmt`]);
  await runIp(
    [
      'link set dev mgmt addrgenmode none',
      `address add ${address} dev mgmt`,
      'link set dev mgmt up',
    ],
    { netns },
  );
}

function connect(seed: number): void {
  let nextSeed = seed;
  for (const from of ports.values()) {
    for (const to of ports.values()) {
      if (from === to) continue;
      from.paths.set(to.host, new NetworkPath(nextSeed, (frame) => void to.tap.write(frame)));
      nextSeed += 1;
    }
  }
}

function listen(port: Port): void {
  port.tap.wait((readiness) => {
    if (readiness === 'gone') return; // its namespace was removed: the end is near
    if (readiness === 'readable') drain(port);
    listen(port);
  });
}

function drain(port: Port): void {
  for (let frames = 0; frames < FRAMES_A_TURN; frames += 1) {
    const frame = port.tap.read();
    if (frame === undefined || frame === 'gone') return;
    forward(port, frame);
  }
}

function forward(port: Port, frame: Buffer): void {
  const destination = frame.toString('latin1', 0, 6);
  hostOf.set(frame.toString('latin1', 6, 12), port.host);
  const known = hostOf.get(destination);
  if (known !== undefined) port.paths.get(known)?.take(frame);
  else for (const path of port.paths.values()) path.take(frame);
}

async function perform(request: EmulatorRequest): Promise<void> {
  if (request.type === 'impair') {
    ports.get(request.from)?.paths.get(request.to)?.set(request.impairment);
    return;
  }
  for (const host of request.hosts) await plug(host);
  connect(request.seed);
  for (const port of ports.values()) listen(port);
}

process.on('message', (request: EmulatorRequest) => {
  const answer = (problem?: string): void => {
    process.send?.({ id: request.id, problem } satisfies EmulatorAnswer);
  };
  perform(request).then(
    () => answer(),
    (thrown: unknown) => answer(asError(thrown).message),
  );
});
// The taps go with the process.
process.on('disconnect', () => process.exit());
