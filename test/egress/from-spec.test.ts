// A spec is typed by a person: right ones mean one thing, wrong ones get one clear error.
import { describe, expect, test } from 'vitest';
import { egressFromSpec, parseEgressSpec } from '../../src/egress/from-spec.ts';
import { NoEgress } from '../../src/egress/none.ts';
import { StreamEgress } from '../../src/egress/stream.ts';
import { TapEgress } from '../../src/egress/tap.ts';

describe('parseEgressSpec', () => {
  test.each([
    ['none', { kind: 'none' }],
    ['tap:us0', { kind: 'tap', name: 'us0' }],
    ['tap:us0,bridge=br0', { kind: 'tap', name: 'us0', bridge: 'br0' }],
    ['tap:us0,netns=ns-1,bridge=br0', { kind: 'tap', name: 'us0', bridge: 'br0', netns: 'ns-1' }],
    ['stream:/run/passt.sock', { kind: 'stream', address: { path: '/run/passt.sock' } }],
    ['stream:localhost:7000', { kind: 'stream', address: { host: 'localhost', port: 7000 } }],
    ['stream:[::1]:7000', { kind: 'stream', address: { host: '::1', port: 7000 } }],
  ])('%s', (spec, parsed) => {
    expect(parseEgressSpec(spec)).toEqual(parsed);
  });

  test.each([
    ['', 'it begins with none of'],
    ['tap', 'it begins with none of'],
    ['tap:', 'is no device name'],
    ['tap:a name', 'is no device name'],
    ['tap:sixteen-letters-', 'is no device name'],
    ['tap:-x', 'is no device name'],
    ['tap:us0,color=red', "'color' is not bridge or netns"],
    ['tap:us0,bridge=', "'bridge=' does not name a bridge"],
    ['tap:us0,netns=../x', 'does not name a netns'],
    ['tap:us0,bridge=a,bridge=b', 'bridge is given twice'],
    ['stream:', 'neither an absolute path nor HOST:PORT'],
    ['stream:relative/path', 'neither an absolute path nor HOST:PORT'],
    ['stream:host:0', 'neither an absolute path nor HOST:PORT'],
    ['stream:host:70000', 'neither an absolute path nor HOST:PORT'],
    ['stream:::1:80', 'neither an absolute path nor HOST:PORT'],
  ])("'%s' is refused", (spec, why) => {
    expect(() => parseEgressSpec(spec)).toThrow(why);
  });
});

test('makes the egress that the spec names', () => {
  expect(egressFromSpec('none')).toBeInstanceOf(NoEgress);
  expect(egressFromSpec('stream:/x')).toBeInstanceOf(StreamEgress);
  expect(egressFromSpec('tap:us0')).toBeInstanceOf(TapEgress);
});
