// A wrong pair file must be refused before anything starts, with every problem named.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { limits } from '../../src/base/limits.ts';
import { loadPairConfig } from '../../src/node/pair-config.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();
const file = path.join(dir, 'pair.yaml');
const good = `
pair: web
vm: vm.yaml
arbiter: file:terms
nodes:
  a: { listen: ws://127.0.0.1:7001, disks: { d0: a.raw } }
  b: { listen: ws://127.0.0.1:7002, egress: 'tap:us0', runDir: run-b }
`;

function load(text: string, name = 'a') {
  fs.writeFileSync(file, text);
  return loadPairConfig(file, name);
}

function refusal(text: string, name = 'a'): UnderstudyError {
  try {
    load(text, name);
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) return thrown;
    throw thrown;
  }
  throw new Error('the file was accepted');
}

describe('a pair file', () => {
  it('gives each node its own view, with paths beside the file', () => {
    const a = load(good);
    expect(a).toEqual({
      pair: 'web',
      vmFile: path.join(dir, 'vm.yaml'),
      arbiter: { kind: 'file', directory: path.join(dir, 'terms') },
      arbiterAuth: {},
      epochMs: limits.epochMs,
      onBackupLost: 'runAlone',
      self: {
        name: 'a',
        listen: 'ws://127.0.0.1:7001',
        disks: { d0: path.join(dir, 'a.raw') },
        egress: 'none',
        runDir: '/dev/shm/understudy/web-a',
      },
      peer: {
        name: 'b',
        listen: 'ws://127.0.0.1:7002',
        disks: {},
        egress: 'tap:us0',
        runDir: path.join(dir, 'run-b'),
      },
    });
    const b = load(good, 'b');
    expect([b.self, b.peer]).toEqual([a.peer, a.self]);
  });

  it('everything is wrong: everything is named at once', () => {
    const error = refusal(`
pair: not a name
arbiter: witness
epochMs: 0
onBackupLost: panic
colour: red
nodes:
  a: { listen: http://x, disk: a.raw }
  b: {}
`);
    expect(error.code).toBe('config');
    for (const place of [
      'pair: must be 1-32 letters',
      'vm: ',
      'arbiter: must be file:PATH',
      'epochMs: ',
      'onBackupLost: ',
      'nodes.a.listen: must be ws://HOST:PORT',
      'nodes.b.listen: ',
      '"disk"',
      '"colour"',
    ]) {
      expect(error.message).toContain(place);
    }
  });

  it('reads every form of arbiter', () => {
    const arbiterOf = (lines: string) => load(good.replace('arbiter: file:terms', lines)).arbiter;
    expect(arbiterOf('arbiter: http://127.0.0.1:7100')).toEqual({
      kind: 'witness',
      url: 'http://127.0.0.1:7100',
    });
    expect(arbiterOf('arbiter: https://witness.example.org:443')).toEqual({
      kind: 'witness',
      url: 'https://witness.example.org',
    });
    expect(arbiterOf('arbiter: etcd:https://e1:2379,https://e2:2379/lab/pairs')).toEqual({
      kind: 'etcd',
      endpoints: ['https://e1:2379', 'https://e2:2379'],
      prefix: '/lab/pairs',
    });
    expect(arbiterOf('arbiter: etcd:http://[::1]:2379')).toEqual({
      kind: 'etcd',
      endpoints: ['http://[::1]:2379'],
      prefix: '/understudy',
    });
    expect(arbiterOf('arbiter: etcd:http://e1:2379\narbiterAuth: { plaintext: true }')).toEqual({
      kind: 'etcd',
      endpoints: ['http://e1:2379'],
      prefix: '/understudy',
    });
  });

  it('finds the files of the proof beside it', () => {
    const auth = 'arbiterAuth: { secret: w.secret, ca: tls/ca.pem, cert: /c.pem, key: k.pem }';
    const config = load(good.replace('arbiter: file:terms', `arbiter: https://w:7100\n${auth}`));
    expect(config.arbiterAuth).toEqual({
      secret: path.join(dir, 'w.secret'),
      ca: path.join(dir, 'tls/ca.pem'),
      cert: '/c.pem',
      key: path.join(dir, 'k.pem'),
    });
  });

  it.each([
    ['file:', 'arbiter: must be file:PATH, and the path is missing'],
    ['raft:x', 'arbiter: must be file:PATH, http://HOST:PORT, https://HOST:PORT or etcd:URL'],
    ['http://127.0.0.1', "'http://127.0.0.1' must be http://HOST:PORT"],
    ['http://127.0.0.1:70000', "'http://127.0.0.1:70000' must be http://HOST:PORT"],
    ['http://127.0.0.1:7100/x', 'must end after the port'],
    ['http://127.0.0.1:7100?x', 'must be http://HOST:PORT'],
    ['http://u:p@127.0.0.1:7100', 'must not hold a name or password: that goes to arbiterAuth'],
    ['http://10.0.0.9:7100', 'arbiterAuth.secret: is needed, as http://10.0.0.9:7100 is not on'],
    ['etcd:', "arbiter: '' must be http://HOST:PORT"],
    ['etcd:127.0.0.1:2379', "'127.0.0.1:2379' must be http://HOST:PORT"],
    ['etcd:http://127.0.0.1:1/a,http://127.0.0.1:2', "'http://127.0.0.1:1/a' must end after"],
    ['etcd:http://127.0.0.1:1,http://127.0.0.1:1', 'names an endpoint twice'],
    [`etcd:${Array(8).fill('http://127.0.0.1:1').join()}`, 'names 8 endpoints: at most 7 may be'],
    ['etcd:http://127.0.0.1:1/a/', "has the prefix '/a/'"],
    ['etcd:http://e1:2379', 'arbiterAuth.plaintext: http://e1:2379 is not on this machine'],
    ['file:x\narbiterAuth: { secret: s }', 'arbiterAuth.secret: is only for a witness'],
    ['http://[::1]:7100\narbiterAuth: { ca: s }', 'arbiterAuth.ca: is only for https: addresses'],
    ['https://w:1\narbiterAuth: { cert: s }', 'arbiterAuth.cert: goes with key'],
    ['https://w:1\narbiterAuth: { user: s, password: t }', 'arbiterAuth.user: is only for etcd:'],
    ['etcd:https://w:1\narbiterAuth: { user: s }', 'arbiterAuth.user: goes with password'],
    ['file:x\narbiterAuth: { token: s }', 'arbiterAuth: Unrecognized key: "token"'],
  ])('arbiter %s: refused', (text, message) => {
    const [arbiter, ...auth] = text.split('\n');
    const lines = [`arbiter: '${arbiter}'`, ...auth].join('\n');
    const error = refusal(good.replace('arbiter: file:terms', lines));
    expect(error.code).toBe('config');
    expect(error.message).toContain(message);
  });

  it.each([
    ['one node', good.replace(/ {2}b:.*\n/, ''), 'a pair has exactly two nodes'],
    ['three nodes', `${good}  c: { listen: ws://127.0.0.1:7003 }\n`, 'exactly two nodes'],
    ['no YAML', 'pair: [', 'is not usable'],
    ['an empty file', '', 'is not usable'],
  ])('%s: refused', (_, text, message) => {
    expect(refusal(text).message).toContain(message);
  });

  it('a node that is not in it: says which there are', () => {
    expect(refusal(good, 'c').message).toContain("there is no node 'c'; the pair has a and b");
  });

  it('no such file: says which, why, and which option to look at', () => {
    const missing = path.join(dir, 'missing.yaml');
    const describe = () => {
      try {
        return loadPairConfig(missing, 'a');
      } catch (thrown) {
        return (thrown as UnderstudyError).describe();
      }
    };
    expect(describe()).toMatch(/missing\.yaml'\n {2}because: ENOENT.*\n {2}try: .*--pair/);
  });
});
