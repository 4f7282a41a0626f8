// A secret that others can read, or that can be guessed, must not protect a pair in silence.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { createSecretFile, readSecretFile } from '../../../src/node/pair-file/secret-file.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
let next = 0;

function file(content: string, mode = 0o600): string {
  next += 1;
  const name = path.join(dir, `secret${next}`);
  fs.writeFileSync(name, content);
  fs.chmodSync(name, mode);
  return name;
}

function refusal(work: () => unknown): UnderstudyError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) return thrown;
    throw thrown;
  }
  throw new Error('it was accepted');
}

const random = 'q8Zr5tXw2LmN7vBc4KjH9sDf1GpY6uEo3TiR';

describe('a secret file', () => {
  it('is made for its owner only, another one each time, and is read again', () => {
    const made = [path.join(dir, 'one'), path.join(dir, 'two')];
    for (const name of made) {
      createSecretFile(name);
      expect(fs.statSync(name).mode & 0o777).toBe(0o600);
      readSecretFile(name);
    }
    const texts = made.map((name) => fs.readFileSync(name, 'utf8'));
    expect(texts[0]).toMatch(/^[0-9a-f]{64}\n$/);
    expect(texts[0]).not.toBe(texts[1]);
  });

  it('that exists is never made anew', () => {
    const name = file('precious');
    expect(refusal(() => createSecretFile(name)).describe()).toBe(
      `Cannot make secret file '${name}': it exists\n` +
        '  try: remove it first if no pair uses it, or give another path',
    );
    expect(fs.readFileSync(name, 'utf8')).toBe('precious');
  });

  it('may have the line end of any editor', () => {
    const macs = [random, `${random}\n`, `${random}\r\n`].map((text) =>
      readSecretFile(file(text))
        .mac([Buffer.from('x')])
        .toString('hex'),
    );
    expect(new Set(macs).size).toBe(1);
  });

  it.each([0o644, 0o640, 0o604, 0o620, 0o660])('of mode %o: refused, with the command', (mode) => {
    const name = file(random, mode);
    const error = refusal(() => readSecretFile(name));
    expect(error.code).toBe('config');
    expect(error.message).toContain(`its mode is 0${mode.toString(8)}, at most 0600 may be`);
    expect(error.hint).toContain(`chmod 600 '${name}'`);
  });

  it.each([
    ['short', 'hunter2\n', 'is too short: it has 7 bytes, at least 32 are needed'],
    ['empty', '', 'it is empty'],
    ['only a line end', '\n', 'is too short: it has 0 bytes'],
    ['the same again and again', 'abc'.repeat(20), 'is not random: it has only 3 different'],
    ['a whole disk', 'x'.repeat(5000), 'it has 5000 bytes, at most 4096 may be'],
  ])('%s: refused, and nothing of it is shown', (_, content, message) => {
    const error = refusal(() => readSecretFile(file(content)));
    expect([error.code, error.hint]).toEqual([
      'config',
      expect.stringContaining('understudy secret'),
    ]);
    expect(error.message).toContain(message);
    if (content.length > 3) expect(error.describe()).not.toContain(content.slice(0, 7));
  });

  it('not there, a directory, a FIFO: refused at once', () => {
    expect(refusal(() => readSecretFile(path.join(dir, 'none'))).describe()).toMatch(
      /Cannot read shared secret '.*none'\n {2}because: ENOENT.*\n {2}try: make one with: understudy/,
    );
    expect(refusal(() => readSecretFile(dir)).message).toContain('it is not a file');
  });
});
