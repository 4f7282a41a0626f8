/** The command line of the simulator: whoever mistypes is told in one line, and ends with 2. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseArguments, usage } from '../../sim/arguments.ts';
import { mutants } from '../../sim/mutants.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** In a process of its own, as people run it. */
function run(...words: string[]) {
  const args = ['--import', 'tsx', 'sim/run.ts', ...words];
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
}

describe('what is typed', () => {
  it('has defaults: 300 seeds, or the one that was named', () => {
    expect(parseArguments([])).toMatchObject({ seeds: 300, seed: undefined, json: false });
    expect(parseArguments(['--seed', '7'])).toMatchObject({ seeds: 1, seed: 7 });
    expect(parseArguments(['scenarios', '--json'])).toMatchObject({
      scenarios: 'play',
      json: true,
    });
  });

  it('names the rule to break', () => {
    for (const mutant of mutants) {
      expect(parseArguments(['--break', mutant.rule]).broken).toBe(mutant);
    }
  });

  it.each([
    [['--sedes', '3'], "unknown option '--sedes'"],
    [['--seeds', '0'], '--seeds must be a whole number from 1 on: current value is 0'],
    [['--seeds', '-1'], '--seeds must be a whole number from 1 on: current value is -1'],
    [['--seeds', '1.5'], '--seeds must be a whole number from 1 on: current value is 1.5'],
    [['--seeds', ''], '--seeds must be a whole number from 1 on: current value is '],
    [['--seeds', '--json'], '--seeds needs a value'],
    [['--seed', 'x'], '--seed must be a whole number from 0 on: current value is x'],
    [['--minutes', '0'], '--minutes must be a number above 0: current value is 0'],
    [['--break', 'nothing'], "there is no rule 'nothing' to break; there are: release-"],
    [['--break'], '--break needs a value'],
    [['--rewrite'], '--rewrite is for scenarios'],
  ])('%j makes no sense, and it is said why', (words, why) => {
    expect(() => parseArguments(words)).toThrow(why);
  });

  it('has a line in the usage for each word that is known', () => {
    const words = ['--seeds', '--seed', '--minutes', '--break', '--mutants', '--json'];
    for (const word of [...words, '--rewrite', '--help', 'fleet', 'scenarios']) {
      expect(usage).toContain(word);
    }
  });
});

describe('npm run sim', () => {
  it('ends with 2 and one line when it is not understood', () => {
    const { status, stdout, stderr } = run('--seeds', '0');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^sim: --seeds must be .*\n$/);
  });

  it('tells programs how the scenarios went', () => {
    const { status, stdout } = run('scenarios', '--json');
    const { scenarios } = JSON.parse(stdout);
    expect(status).toBe(0);
    expect(scenarios).toContainEqual({ name: 'primary-dies', asTold: true });
  });
});
