// What a node remembers of having spoken must survive, and must not be guessed when it is damaged.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import { SpokenTerm } from '../../src/node/spoken.ts';
import { scratchDir } from './scratch.ts';

const dir = scratchDir();

describe('the term that was spoken in last', () => {
  it('is 0 at first, and what was saved from then on', async () => {
    const file = path.join(dir, 'state', 'web-a.json');
    const spoken = SpokenTerm.load(file);
    expect(spoken.term).toBe(0);
    await spoken.save(term(7));
    await spoken.save(term(8));
    expect([spoken.term, SpokenTerm.load(file).term]).toEqual([8, 8]);
    expect(fs.readdirSync(path.dirname(file))).toEqual(['web-a.json']);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  });

  it('two terms are saved at once: the later one is what is remembered', async () => {
    const file = path.join(dir, 'at-once', 'web-a.json');
    const spoken = SpokenTerm.load(file);
    await Promise.all([spoken.save(term(7)), spoken.save(term(8))]);
    expect([spoken.term, SpokenTerm.load(file).term]).toEqual([8, 8]);
    expect(fs.readdirSync(path.dirname(file))).toEqual(['web-a.json']);
  });

  it('is damaged: an error with a hint, not 0', () => {
    const file = path.join(dir, 'damaged.json');
    for (const text of ['', '{"understudy":"spoken","version":2,"term":1}', '{"term":-1}']) {
      fs.writeFileSync(file, text);
      expect(() => SpokenTerm.load(file)).toThrow(UnderstudyError);
    }
  });
});
