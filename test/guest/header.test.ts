// guest/understudy.h compiles without a warning as C99, as C17 and as C++, and says what is wrong
// where there is no port; the shell's twin refuses bad input.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root } from '../compiled/program.ts';
import { scratchDir } from '../node/scratch.ts';

const dir = scratchDir();
const probe = path.join(dir, 'probe');
const header = path.join(root, 'guest');
const source = path.join(root, 'test/guest/probe.c');
const strict = ['-O2', '-Wall', '-Wextra', '-pedantic', '-Werror', '-I', header];

function compile(compiler: string, flags: readonly string[]): void {
  execFileSync(compiler, [...strict, ...flags, '-o', probe, source]);
}

describe('understudy.h', () => {
  it.each([
    ['cc', ['-std=c99']],
    ['cc', ['-std=gnu17', '-Wconversion']],
    ['g++', ['-x', 'c++', '-std=c++98']],
    ['g++', ['-x', 'c++', '-std=c++20']],
  ])('%s %j', (compiler, flags) => {
    expect(() => compile(compiler, flags)).not.toThrow();
  });

  describe('without a node', () => {
    beforeAll(() => compile('cc', ['-std=c99']));
    const said = (port: string, ...args: string[]): string =>
      execFileSync(probe, args, {
        env: { UNDERSTUDY_PORT: port, UNDERSTUDY_SYNC_DIR: dir },
        encoding: 'utf8',
      }).trim();

    it.each([
      [path.join(dir, 'none'), 2],
      ['/dev/null', 25],
    ])('at %s: errno %i', (port, errno) => {
      expect(said(port, 'checkpoint', 'x')).toBe(`answer=-1 errno=${errno}`);
      expect(said(port, 'committed')).toBe(`answer=-1 errno=${errno}`);
    });

    it.each([
      ['../x', '1'],
      ['', '1'],
      ['x', '0'],
      ['x', '65'],
    ])('a meeting %j of %s is refused', (name, n) => {
      expect(said('/dev/null', 'sync', name, n, 'label')).toBe('answer=-1 errno=22');
      expect(fs.existsSync(path.join(dir, 'understudy.x'))).toBe(false);
    });

    it('those who meet all get what the one that asks is answered', () => {
      const script = `for i in 1 2 3; do ${probe} sync three 3 label & done; wait`;
      const all = execFileSync('sh', ['-c', script], {
        env: { ...process.env, UNDERSTUDY_PORT: '/dev/null', UNDERSTUDY_SYNC_DIR: dir },
        encoding: 'utf8',
      });
      expect(all.trim().split('\n')).toEqual(Array(3).fill('answer=-1 errno=25'));
    });
  });
});

describe('understudy-ckpt', () => {
  const run = (...args: string[]) =>
    spawnSync(path.join(root, 'guest/understudy-ckpt'), args, {
      env: { ...process.env, UNDERSTUDY_PORT: path.join(dir, 'none/at/all') },
      encoding: 'utf8',
    });

  it.each([
    [['--sync'], 2, '--sync needs NAME:N'],
    [['--sync', 'three'], 2, '--sync needs NAME:N: current value is three'],
    [['--sync', 'a/b:3'], 2, '--sync needs NAME:N: current value is a/b:3'],
    [['--sync', 'a:65'], 2, '--sync takes 1 to 64 callers: current value is 65'],
    [['--fast'], 2, 'unknown option: --fast'],
    [['two', 'words'], 2, 'one label, in quotes: current value is two words'],
    [['label'], 1, 'cannot open'],
  ])('%j ends with %i', (args, code, text) => {
    const { status, stderr } = run(...args);
    expect([status, stderr]).toEqual([code, expect.stringContaining(text)]);
  });

  it('says how it is called', () => {
    const { status, stdout } = run('--help');
    expect(status).toBe(0);
    expect(stdout).toContain('exit: 0 saved, 10 this is a restart');
  });
});
