// A wrong pair file must be refused before anything starts, with every problem named.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { limits } from '../../../src/base/limits.ts';
import { refuseForeignImages } from '../../../src/node/pair-file/named-images.ts';
import { loadPairConfig } from '../../../src/node/pair-file/pair-config.ts';
import { scratchDir } from '../scratch.ts';

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
      file,
      pair: 'web',
      vmFile: path.join(dir, 'vm.yaml'),
      arbiter: { kind: 'file', directory: path.join(dir, 'terms') },
      arbiterAuth: {},
      epochMs: limits.epochMs,
      ack: 'received',
      onBackupLost: 'runAlone',
      silenceMs: limits.silenceMs,
      heartbeatMs: limits.silenceMs / 3,
      seedBandwidth: Number.POSITIVE_INFINITY,
      spoolBudget: limits.spoolBudgetBytes,
      durableLogBudget: limits.durableLogBudgetBytes,
      compareEveryMs: 600_000,
      snapshots: undefined,
      self: {
        name: 'a',
        listen: 'ws://127.0.0.1:7001',
        disks: { d0: path.join(dir, 'a.raw') },
        egress: 'none',
        runDir: '/dev/shm/understudy/web-a',
        stateDir: path.join(dir, '.understudy'),
        spoolDir: undefined,
        durableLogDir: path.join(dir, '.understudy'),
      },
      peer: {
        name: 'b',
        listen: 'ws://127.0.0.1:7002',
        disks: {},
        egress: 'tap:us0',
        runDir: path.join(dir, 'run-b'),
        stateDir: path.join(dir, '.understudy'),
        spoolDir: undefined,
        durableLogDir: path.join(dir, '.understudy'),
      },
    });
    const b = load(good, 'b');
    expect([b.self, b.peer]).toEqual([a.peer, a.self]);
  });

  it('a silence that one lost heartbeat would fill is refused', () => {
    // Goal: such a pair would take over for nothing, again and again.
    const error = refusal(`${good}silenceMs: 300\nheartbeatMs: 200\n`);
    expect(error.message).toContain('silenceMs must be at least 2 heartbeats of 200 ms');
  });

  it('each card may have an egress of its own', () => {
    const list = good.replace("'tap:us0'", "['tap:us0', none]");
    expect(load(list, 'b').self.egress).toEqual(['tap:us0', 'none']);
    const { message } = refusal(good.replace("'tap:us0'", '[7]'));
    expect(message).toContain('nodes.b.egress: must be one egress, or a list with one for each');
  });

  it('acknowledgements may wait for the disk', () => {
    const keys = 'ack: durable\ndurableLogBudget: 2GB\n';
    const config = load(`${good.replace('b: {', 'b: { durableLogDir: logs,')}${keys}`, 'b');
    expect(config).toMatchObject({ ack: 'durable', durableLogBudget: 2e9 });
    expect(config.self.durableLogDir).toBe(path.join(dir, 'logs'));
    expect(config.peer.durableLogDir).toBe(path.join(dir, '.understudy'));
    const { message } = refusal(`${good}ack: disk\ndurableLogBudget: 1kB\n`);
    expect(message).toContain('ack: must be received or durable: current value is "disk"');
    expect(message).toContain('durableLogBudget: must be a size such as 512MiB, at least 1MB');
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
      'epochMs: must be a number from 1 to 1000: current value is 0',
      'onBackupLost: must be runAlone or hold: current value is "panic"',
      'nodes.a.listen: must be ws://HOST:PORT or wss://HOST:PORT',
      'nodes.b.listen: is missing',
      "nodes.a: unknown key 'disk': did you mean 'disks'?",
      "the file: unknown key 'colour': known: pair, vm,",
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
    ['file:x\narbiterAuth: { token: s }', "arbiterAuth: unknown key 'token'"],
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

  const listening = (a: string, b: string, more = ''): string => `
pair: web
vm: vm.yaml
arbiter: file:/srv/terms
${more}
nodes:
  a: { listen: '${a}' }
  b: { listen: '${b}' }
`;
  const secret = 'security: { secretFile: web.secret }';
  const tls = 'tls: { ca: ca.pem, cert: /etc/n.pem, key: n.key }';

  it.each([
    ['ws://127.0.0.1:80', 'ws://[::1]:443', ''],
    ['wss://10.0.0.1:443', 'wss://b.example.org:80', secret],
    ['wss://10.0.0.1:1', 'wss://[fe80::1]:65535', tls],
    ['wss://127.0.0.1:7001', 'wss://127.0.0.1:7002', `${secret}\n${tls}`],
    ['ws://127.0.0.1:7001', 'ws://localhost:7001', secret],
  ])('nodes may listen on %s and %s', (a, b, more) => {
    const { self, peer } = load(listening(a, b, more));
    expect([self.listen, peer.listen]).toEqual([a, b]);
  });

  it('two hosts do not share a relative path of an arbiter: refused', () => {
    const relative = (a: string, b: string) =>
      listening(a, b, secret).replace('file:/srv/terms', 'file:terms');
    const here = 'wss://127.0.0.1:7001';
    for (const [a, b] of [
      ['wss://10.0.0.1:1', 'wss://10.0.0.2:1'],
      [here, 'wss://10.0.0.2:1'],
    ] as const) {
      const { message } = refusal(relative(a, b));
      expect(message).toContain('arbiter: a relative path is another directory on each host');
      expect(message).toContain('current value is "file:terms"');
    }
    const { arbiter } = load(relative(here, 'wss://127.0.0.1:7002'));
    expect(arbiter).toEqual({ kind: 'file', directory: path.join(dir, 'terms') });
  });

  it.each([
    ['ws://10.0.0.1:1', 'ws://10.0.0.2:1', '', 'nodes.a.listen: ws:// is for loopback'],
    ['ws://10.0.0.1:1', 'ws://10.0.0.2:1', secret, 'nodes.b.listen: ws:// is for loopback'],
    ['wss://10.0.0.1:1', 'wss://10.0.0.2:1', '', 'needs a shared secret or certificates'],
    ['ws://127.0.0.1:1', 'ws://127.0.0.1:2', tls, "must be wss:// when there is 'tls'"],
    ['wss://127.0.0.1:1', 'ws://127.0.0.1:2', secret, 'both must have ws:// or both wss://'],
    ['wss://10.0.0.1:1', 'wss://10.0.0.2:1', 'tls: { ca: x }', 'missing is cert, key'],
    ['ws://127.0.0.1:1', 'ws://127.0.0.1:1', '', 'both listen on ws://127.0.0.1:1'],
    ['ws://127.0.0.1:0', 'ws://127.0.0.1:2', '', 'nodes.a.listen: must be ws://HOST:PORT'],
    ['ws://127.0.0.1:70000', 'ws://127.0.0.1:2', '', 'a port from 1 to 65535'],
    ['ws://127.0.0.1:1/x', 'ws://127.0.0.1:2', '', 'nodes.a.listen: must be ws://HOST:PORT'],
    ['ws://u@127.0.0.1:1', 'ws://127.0.0.1:2', '', 'nodes.a.listen: must be ws://HOST:PORT'],
    ['ws://127.0.0.1:1', 'ws://127.0.0.1:2', 'security: {}', 'security.secretFile: is missing'],
    ['ws://127.0.0.1:1', 'ws://127.0.0.1:2', 'security: { secret: x }', "unknown key 'secret'"],
  ])('nodes may not listen on %s and %s with %j: %s', (a, b, more, message) => {
    expect(refusal(listening(a, b, more)).message).toContain(message);
  });

  it('secret and certificates are beside the file; a node may have its own', () => {
    const text = listening('wss://127.0.0.1:1', 'wss://127.0.0.1:2', `${secret}\n${tls}`);
    const { self, peer, secretFile } = load(text.replace(":2'", ":2', tls: { cert: b.pem }"));
    const beside = (name: string): string => path.join(dir, name);
    expect(secretFile).toBe(beside('web.secret'));
    expect(self.tls).toEqual({ ca: beside('ca.pem'), cert: '/etc/n.pem', key: beside('n.key') });
    expect(peer.tls).toEqual({ ...self.tls, cert: beside('b.pem') });
  });

  it('two nodes of one host that share an image or a run directory: refused', () => {
    const shared = good.replace('runDir: run-b }', 'runDir: x, disks: { d0: a.raw } }');
    expect(refusal(shared).message).toContain("both have the disk image 'a.raw'");
    // An image that is not there yet is known by where it would be made.
    fs.symlinkSync('.', path.join(dir, 'same'), 'dir');
    for (const name of ['./a.raw', 'raw:a.raw', `${dir}/same/../a.raw`, 'same/a.raw']) {
      const other = good.replace('runDir: run-b }', `runDir: x, disks: { d0: '${name}' } }`);
      expect(refusal(other).message).toContain(`'a.raw', which is '${name}' too`);
    }
    const own = Object.values(os.networkInterfaces()).flatMap((all) => all ?? []);
    const address = own.findLast(({ family }) => family === 'IPv4')?.address;
    const far = listening(`wss://${address}:1`, `wss://${address}:2`, secret)
      .replace(/(a: \{ .*) \}/, '$1, disks: { d0: a.raw } }')
      .replace(/(b: \{ .*) \}/, '$1, disks: { d0: same/a.raw } }');
    expect(refusal(far).message).toContain("which is 'same/a.raw' too");
    const runDirs = good.replace('d0: a.raw }', 'd0: a.raw }, runDir: run-b');
    expect(refusal(runDirs).message).toContain("both have the run directory 'run-b'");
  });

  it('an image that is raw by word is that file', () => {
    const { self } = load(good.replace('d0: a.raw', 'd0: raw:a.raw'));
    expect(self.disks).toEqual({ d0: path.join(dir, 'a.raw') });
    fs.writeFileSync(path.join(dir, 'a.raw'), Buffer.from('QFI\xfb'.padEnd(512), 'latin1'));
    expect(() => refuseForeignImages(self)).not.toThrow();
    expect(() => refuseForeignImages(load(good).self)).toThrow('a.raw is a qcow2 image');
  });

  it('the longest names: the default run directory is still short enough for sockets', () => {
    const [pair, name] = ['p'.repeat(32), 'n'.repeat(16)];
    const long = good.replace('pair: web', `pair: ${pair}`).replace('  a:', `  ${name}:`);
    const { runDir } = load(long, name).self;
    expect(Buffer.byteLength(runDir)).toBeLessThanOrEqual(66);
    expect(runDir).toMatch(/^\/dev\/shm\/understudy\/p{20}-[0-9a-f]{8}-n{16}$/);
    const other = long.replace(`pair: ${pair}`, `pair: ${'p'.repeat(31)}q`);
    expect(load(other, name).self.runDir).not.toBe(runDir);
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

describe('snapshots in a pair file', () => {
  const withSnapshots = (text: string): string => `${good}snapshots: ${text}\n`;

  it('say where, how often, and what stays', () => {
    const text = '{ store: kept, every: 4s, keep: { last: 10, daily: 7, budget: 2GiB } }';
    expect(load(withSnapshots(text)).snapshots).toEqual({
      store: path.join(dir, 'kept'),
      everyMs: 4000,
      keep: { last: 10, daily: 7, budgetBytes: 2 * 1024 ** 3 },
      restart: 'boot',
      restartWaitMs: 60_000,
    });
    const soon = '{ store: /srv/kept, restart: newest, restartWait: 0s }';
    expect(load(withSnapshots(soon)).snapshots).toEqual({
      store: '/srv/kept',
      everyMs: undefined,
      keep: undefined,
      restart: 'newest',
      restartWaitMs: 0,
    });
  });

  it('say where copies go, and what stays there', () => {
    const text = (copyTo: string) => withSnapshots(`{ store: kept, copyTo: ${copyTo} }`);
    expect(load(text('/mnt/nas/web')).snapshots?.copyTo).toEqual({ directory: '/mnt/nas/web' });
    expect(load(text('{ directory: ../nas, keep: { last: 7 } }')).snapshots?.copyTo).toEqual({
      directory: path.resolve(dir, '../nas'),
      keep: { last: 7 },
    });
    // No part of the store, though its name begins alike.
    expect(load(text('kept-too')).snapshots?.copyTo?.directory).toBe(path.join(dir, 'kept-too'));
  });

  it.each([
    ['{}', 'snapshots.store: is missing'],
    ['{ store: s, copyTo: ./s }', 'snapshots.copyTo: is the store itself: name a directory on'],
    ['{ store: s, copyTo: s/t }', 'snapshots.copyTo: lies in the store'],
    ['{ store: s, copyTo: . }', 'snapshots.copyTo: has the store in it'],
    ["{ store: s, copyTo: '' }", 'snapshots.copyTo: must be a directory, or { directory, keep }'],
    ['{ store: s, copyTo: 7 }', 'snapshots.copyTo: must be a directory, or { directory, keep }'],
    ['{ store: s, copyTo: {} }', 'snapshots.copyTo.directory: is missing'],
    ['{ store: s, copyTo: { dir: t } }', "snapshots.copyTo: unknown key 'dir'"],
    ['{ store: s, copyTo: { directory: t, kepe: 1 } }', "did you mean 'keep'?"],
    ['{ store: s, copyTo: { directory: t, keep: {} } }', 'would keep nothing'],
    ['{ store: s, copyTo: { directory: t, keep: { lats: 1 } } }', "did you mean 'last'?"],
    ['{ store: s, every: 4 }', 'must be a time such as 4s'],
    ['{ store: s, every: 100ms }', 'from 500ms to 24h: current value is "100ms"'],
    ['{ store: s, every: 25h }', 'from 500ms to 24h'],
    ['{ store: s, often: 4s }', "unknown key 'often'"],
    ['{ store: s, keep: { lats: 3 } }', "did you mean 'last'?"],
    ['{ store: s, keep: { last: -1 } }', 'must be a whole number from 0'],
    ['{ store: s, keep: { budget: 3 } }', 'must be a size such as 512MiB'],
    ['{ store: s, keep: { last: 0 } }', 'would keep nothing'],
    ['{ store: s, keep: {} }', 'would keep nothing'],
    ['{ store: s, restart: old }', 'restart: must be boot or newest'],
    ['{ store: s, restartWait: 60 }', 'restartWait: must be a time such as 60s, up to 24h'],
    ['{ store: s, restartWait: soon }', 'restartWait: must be a time such as 60s, up to 24h'],
    ['{ store: s, restartWait: 25h }', 'restartWait: must be a time such as 60s, up to 24h'],
  ])('%s is refused', (text, reason) => {
    expect(refusal(withSnapshots(text)).message).toContain(reason);
  });
});

describe('compareEvery', () => {
  it.each([
    ['', 600_000],
    ['compareEvery: 1h\n', 3_600_000],
    ['compareEvery: never\n', undefined],
  ])('%j', (text, ms) => {
    expect(load(`${good}${text}`).compareEveryMs).toBe(ms);
  });

  it.each(['5', 'often', '100ms', '25h'])('%s is refused', (text) => {
    const { message } = refusal(`${good}compareEvery: ${text}\n`);
    expect(message).toContain(
      'compareEvery: must be a time such as 10m, from 500ms to 24h, or never',
    );
  });
});
