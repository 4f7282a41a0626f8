/** `npm run sim`: deterministic simulation of the protocol. See docs/protocol.md. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArguments, type SimArguments, usage } from './arguments.ts';
import { type CampaignResult, type Failure, huntAll, runCampaign } from './campaign.ts';
import { printFleet } from './fleet/report.ts';
import { mutantNamed } from './mutants.ts';
import { tellScenario } from './scenario.ts';
import { soundSeams } from './seams.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function main(): number {
  let options: SimArguments;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n\n${usage}\n`);
    return 2;
  }
  if (options.help) {
    print(usage);
    return 0;
  }
  if (options.fleet) {
    printFleet(options.json, print);
    return 0;
  }
  if (options.scenarios !== undefined) return runScenarios(options.scenarios);
  return options.mutants ? runMutants(options) : runSeeds(options);
}

function runScenarios(how: 'play' | 'rewrite'): number {
  const folder = fileURLToPath(new URL('./scenarios/', import.meta.url));
  let changed = 0;
  for (const file of fs.readdirSync(folder).sort()) {
    const text = fs.readFileSync(`${folder}${file}`, 'utf8');
    const told = tellScenario(text);
    const isAsTold = told === text;
    if (!isAsTold) changed += 1;
    if (!isAsTold && how === 'rewrite') fs.writeFileSync(`${folder}${file}`, told);
    print(`${isAsTold ? 'as told  ' : how === 'rewrite' ? 'rewritten' : 'DIFFERS  '} ${file}`);
  }
  return changed > 0 && how === 'play' ? 1 : 0;
}

function runMutants({ json }: SimArguments): number {
  const mutants = huntAll();
  for (const { rule, caughtAtSeed, by } of mutants) {
    const seed = caughtAtSeed === undefined ? 'NOT CAUGHT' : `seed ${caughtAtSeed}`;
    if (!json) print(`${rule.padEnd(34)} ${seed.padEnd(10)} ${by ?? ''}`);
  }
  if (json) print(JSON.stringify({ mutants }));
  return mutants.every(({ caughtAtSeed }) => caughtAtSeed !== undefined) ? 0 : 1;
}

function runSeeds(options: SimArguments): number {
  const { rule, json } = options;
  const seams = rule === undefined ? soundSeams : { ...soundSeams, ...mutantNamed(rule).seams };
  const result = runCampaign(seedsOf(options), seams);
  const { failures, ...rest } = result;
  for (const failure of failures.slice(0, 3)) explain(failure, rule);
  if (json) {
    const brief = failures.map(({ seed, rule: broken, message }) => ({
      seed,
      rule: broken,
      message,
    }));
    print(JSON.stringify({ ...rest, failures: failures.length, failed: brief }));
  } else summarize(result);
  return failures.length === 0 ? 0 : 1;
}

/** The fixed seeds from 1 on, then fresh ones; or exactly those that were asked for. */
function* seedsOf({ seed, seeds, minutes }: SimArguments): Generator<number> {
  const until = performance.now() + minutes * 60_000;
  const fresh = randomInt(2 ** 31);
  const fixed = seed === undefined && minutes === 0 ? Math.ceil(seeds / 2) : 0;
  if (seed === undefined) {
    process.stderr.write(`seeds 1 to ${fixed} and from ${fresh} on\n`);
  }
  for (let count = 0; minutes > 0 ? performance.now() < until : count < seeds; count += 1) {
    if (seed !== undefined) yield seed + count;
    else yield count < fixed ? count + 1 : fresh + count - fixed;
  }
}

function explain({ seed, message, timeline }: Failure, rule: string | undefined): void {
  const broken = rule === undefined ? '' : ` --break ${rule}`;
  process.stderr.write(
    `\n${timeline}\n\nseed ${seed}: ${message}\ncommit ${commit()}\n` +
      `again: npm run sim -- --seed ${seed}${broken}\n`,
  );
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function summarize(result: CampaignResult): void {
  const { seeds, failures, takeovers, boots, words, lateWords, faults } = result;
  print(`${seeds} seeds, ${failures.length} failed`);
  print(`${takeovers} takeovers (${result.takeoversPerMinute} a minute), ${boots} boots`);
  print(`${words} outputs seen, ${lateWords} of them late on the network after a takeover`);
  print(`protected again at most ${result.protectedAgainMsMax} ms after the last fault`);
  print(`${result.simulatedSeconds} s simulated in ${result.wallSeconds} s`);
  for (const [name, count] of Object.entries(faults))
    print(`  ${String(count).padStart(7)} ${name}`);
}

process.exitCode = main();
