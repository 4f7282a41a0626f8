/**
 * The long fuzzer.
 *
 *     npm run fuzz -- [--minutes M] [--seed S] [--target NAME] [--json]
 *     npm run fuzz -- --replay FILE
 *
 * Ends with 1 at the first finding, which is saved in `fuzz-TARGET-SEED-CASE.json`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type FoundCase, type FuzzOptions, fuzz, fuzzTargets } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    target: { type: 'string' },
    replay: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

function optionsFromArguments(): FuzzOptions {
  const replayed =
    values.replay === undefined
      ? undefined
      : (JSON.parse(readFileSync(values.replay, 'utf8')) as FoundCase);
  const target = replayed?.target ?? values.target;
  const targets = fuzzTargets.filter(({ name }) => target === undefined || name === target);
  const seed = replayed?.seed ?? Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const forMs = Number(values.minutes) * 60_000;
  if (targets.length === 0 || !Number.isInteger(seed) || !(forMs > 0)) {
    const names = fuzzTargets.map(({ name }) => name).join(', ');
    process.stderr.write(`usage: --minutes M --seed N --target one of ${names}\n`);
    process.exit(2);
  }
  if (replayed !== undefined) return { seed, forMs, targets, from: replayed.case, cases: 1 };
  return { seed, forMs, targets };
}

const options = optionsFromArguments();
process.stderr.write(`seed ${options.seed}, ${values.minutes} min\n`);
const report = await fuzz(options);
const { found } = report;
if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  for (const [name, count] of Object.entries(report.executions)) {
    const rate = report.executionsPerSecond[name];
    process.stdout.write(`${name.padEnd(10)} ${count} executions, ${rate}/s\n`);
  }
}
if (found !== undefined) {
  const file = `fuzz-${found.target}-${found.seed}-${found.case}.json`;
  writeFileSync(file, `${JSON.stringify(found, undefined, 2)}\n`);
  process.stderr.write(`FOUND in ${found.target}: ${found.problem}\n`);
  process.stderr.write(`  again: npm run fuzz -- --replay ${file}\n`);
  process.exitCode = 1;
}
