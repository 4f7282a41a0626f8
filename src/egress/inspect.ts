/**
 * What can be seen of an egress before it is opened, without being in anybody's way: a node that is
 * going to start a machine looks before it does.
 */
import fs from 'node:fs';
import { UnderstudyError } from '../base/errors.ts';
import { parseEgressSpec } from './from-spec.ts';
import type { TapOptions } from './tap.ts';

/** Throws `environment` when what it needs is not there. */
export function inspectEgress(spec: string): void {
  const parsed = parseEgressSpec(spec);
  if (parsed.kind === 'tap') inspectTap(spec, parsed);
  if (parsed.kind !== 'stream' || !('path' in parsed.address)) return;
  const { path } = parsed.address;
  if (fs.existsSync(path)) return;
  throw missing(
    spec,
    `there is no socket '${path}'`,
    'start the program that listens there (passt, for example) first',
  );
}

function inspectTap(spec: string, { bridge, netns }: TapOptions): void {
  if (netns !== undefined && !fs.existsSync(`/run/netns/${netns}`)) {
    throw missing(spec, `there is no network namespace '${netns}'`, `run: ip netns add ${netns}`);
  }
  // The devices of another namespace are not seen from here.
  if (bridge === undefined || netns !== undefined || hasDevice(bridge)) return;
  throw missing(
    spec,
    `there is no bridge '${bridge}'`,
    `run: ip link add ${bridge} type bridge, or name another one in the pair file`,
  );
}

/** In the network namespace of this process, which /sys need not show. */
function hasDevice(name: string): boolean {
  const lines = fs.readFileSync('/proc/self/net/dev', 'latin1').split('\n');
  return lines.some((line) => line.trim().startsWith(`${name}:`));
}

function missing(spec: string, what: string, hint: string): UnderstudyError {
  return new UnderstudyError('environment', `Cannot use '${spec}' as egress: ${what}`, { hint });
}
