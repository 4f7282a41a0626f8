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
      arbiter: `file:${path.join(dir, 'terms')}`,
      epochMs: limits.epochMs,
      onBackupLost: 'runAlone',
      seedBandwidth: Number.POSITIVE_INFINITY,
      spoolBudget: limits.spoolBudgetBytes,
      self: {
        name: 'a',
        listen: 'ws://127.0.0.1:7001',
        disks: { d0: path.join(dir, 'a.raw') },
        egress: 'none',
        runDir: '/dev/shm/understudy/web-a',
        spoolDir: undefined,
      },
      peer: {
        name: 'b',
        listen: 'ws://127.0.0.1:7002',
        disks: {},
        egress: 'tap:us0',
        runDir: path.join(dir, 'run-b'),
        spoolDir: undefined,
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
