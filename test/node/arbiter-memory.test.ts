// What a node remembers of its arbiter must survive, and must not be guessed when it is damaged.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { newIdentity } from '../../src/arbiter/identity.ts';
import { term } from '../../src/base/units.ts';
import { ArbiterFile } from '../../src/node/arbiter-memory.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();

describe('the arbiter that a node knows', () => {
  it('is none at first, and what was saved from then on', async () => {
    const file = path.join(dir, 'web-a.arbiter.json');
    const memory = ArbiterFile.load(file);
    expect(memory.known).toBeUndefined();
    const known = { identity: newIdentity(), tookPart: false, seen: term(0) };
    await Promise.all([
      memory.save(known),
      memory.save({ ...known, tookPart: true, seen: term(7) }),
    ]);
    for (const kept of [memory, ArbiterFile.load(file)]) {
      expect(kept.known).toEqual({ ...known, tookPart: true, seen: 7 });
    }
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  });

  it('cannot be saved: an error that may pass, and nothing is known', async () => {
    const file = path.join(dir, 'gone', 'web-a.arbiter.json');
    const memory = ArbiterFile.load(file);
    const saved = memory.save({ identity: newIdentity(), tookPart: true, seen: term(1) });
    await expect(saved).rejects.toMatchObject({ code: 'arbiter', mayPass: true });
    expect(memory.known).toBeUndefined();
  });

  it('was kept by a version that kept no term', () => {
    const file = path.join(dir, 'earlier.json');
    const identity = newIdentity();
    const text = { understudy: 'known-arbiter', version: 1, identity, tookPart: true };
    fs.writeFileSync(file, JSON.stringify(text));
    expect(ArbiterFile.load(file).known).toEqual({ identity, tookPart: true, seen: 0 });
  });

  it('is damaged: an error with a hint', () => {
    const file = path.join(dir, 'damaged.json');
    for (const text of ['', '{"understudy":"known-arbiter","version":1,"identity":"x"}']) {
      fs.writeFileSync(file, text);
      expect(() => ArbiterFile.load(file)).toThrow(/Cannot understand/);
    }
  });
});
