/**
 * One line of text that says where a guest's frames go, as on a command line:
 *
 *     tap:NAME[,bridge=BRIDGE][,netns=NAMESPACE]
 *     stream:/path/of/a/socket
 *     stream:HOST:PORT            (an IPv6 address in brackets)
 *     none
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Egress } from '../ports/egress.ts';
import { NoEgress } from './none.ts';
import { type StreamAddress, StreamEgress } from './stream.ts';
import { TapEgress, type TapOptions } from './tap.ts';

export type EgressSpec =
  | ({ readonly kind: 'tap' } & TapOptions)
  | { readonly kind: 'stream'; readonly address: StreamAddress }
  | { readonly kind: 'none' };

/** The kernel's rule for device names; it keeps spaces and option signs out of `ip` as well. */
const DEVICE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
const NAMESPACE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+)):(\d{1,5})$/;

export function egressFromSpec(spec: string): Egress {
  const parsed = parseEgressSpec(spec);
  switch (parsed.kind) {
    case 'tap':
      return new TapEgress(parsed);
    case 'stream':
      return new StreamEgress(parsed.address);
    case 'none':
      return new NoEgress();
  }
}

export function parseEgressSpec(spec: string): EgressSpec {
  if (spec === 'none') return { kind: 'none' };
  if (spec.startsWith('tap:')) return parseTap(spec, spec.slice('tap:'.length));
  if (spec.startsWith('stream:')) {
    return { kind: 'stream', address: parseAddress(spec, spec.slice('stream:'.length)) };
  }
  throw bad(spec, 'it begins with none of tap:, stream: and none');
}

function parseTap(spec: string, text: string): EgressSpec {
  const [name = '', ...settings] = text.split(',');
  if (!DEVICE.test(name)) throw bad(spec, `'${name}' is no device name of 1 to 15 letters`);
  const found: { bridge?: string; netns?: string } = {};
  for (const setting of settings) {
    const [key = '', value = '', ...more] = setting.split('=');
    if (key !== 'bridge' && key !== 'netns') throw bad(spec, `'${key}' is not bridge or netns`);
    if (found[key] !== undefined) throw bad(spec, `${key} is given twice`);
    if (more.length > 0 || !(key === 'bridge' ? DEVICE : NAMESPACE).test(value)) {
      throw bad(spec, `'${setting}' does not name a ${key}`);
    }
    found[key] = value;
  }
  return { kind: 'tap', name, ...found };
}

function parseAddress(spec: string, text: string): StreamAddress {
  if (text.startsWith('/')) return { path: text };
  const [, bracketed, plain, digits] = HOST_PORT.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || !(port >= 1 && port <= 65_535)) {
    throw bad(spec, `'${text}' is neither an absolute path nor HOST:PORT`);
  }
  return { host, port };
}

function bad(spec: string, why: string): UnderstudyError {
  return new UnderstudyError('config', `Cannot use '${spec}' as egress: ${why}`, {
    hint: 'write tap:NAME[,bridge=B][,netns=N], stream:/path, stream:HOST:PORT or none',
  });
}
