/** Golden incidents: each file of sim/scenarios is a story, and it must go as told. */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runScenario, tellScenario } from '../../sim/scenario.ts';

const folder = fileURLToPath(new URL('../../sim/scenarios/', import.meta.url));

describe('an incident', () => {
  for (const file of fs.readdirSync(folder)) {
    it(file.replace('.txt', '').replaceAll('-', ' '), () => {
      // A change of the protocol changes stories: `npm run sim -- scenarios --rewrite`, and read
      // them.
      const text = fs.readFileSync(`${folder}${file}`, 'utf8');
      expect(tellScenario(text)).toBe(text);
    });
  }

  it('does not go as told: the line and the timeline say why', () => {
    const wrong = 'at 0s start a\nat 1s expect a backup\n';
    expect(() => runScenario(wrong)).toThrow(
      /line 2, 'expect a backup': it is primary, alone\n.*boots/s,
    );
    expect(() => runScenario('at 0s dance\n')).toThrow("there is no 'dance'");
    expect(() => runScenario('soon start a\n')).toThrow("begins with 'set', 'at' or '#'");
    expect(() => runScenario('at 2s start a\nat 1s start b\n')).toThrow('lies in the past');
  });
});
