// What a script reads is JSON and nothing else; what a person reads is there all the same.
import { afterEach, expect, test, vi } from 'vitest';
import { printReport } from '../../src/cli/verbs/demo.ts';
import { reportTable } from '../../src/demo/table.ts';
import { sampleReport } from './sample-report.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function printed(json: boolean): { stdout: string; stderr: string } {
  vi.stubEnv('NO_COLOR', '1');
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      said[name] += text.toString();
      return true;
    });
  }
  printReport(sampleReport(), json);
  vi.restoreAllMocks();
  return said;
}

test('with --json standard output is the report as one object, and the table is on standard error', () => {
  const { stdout, stderr } = printed(true);
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(sampleReport())));
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(stderr).toBe(`\n${reportTable(sampleReport())}`);
});

test('without, the table is on standard output', () => {
  expect(printed(false)).toEqual({ stdout: `\n${reportTable(sampleReport())}`, stderr: '' });
});
