/** `npm run sim`: deterministic simulation of the protocol. See docs/protocol.md. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArguments, type SimArguments, usage } from './arguments.ts';
import { type CampaignResult, type Failure, huntAll, runCampaign } from './campaign.ts';
import { printFleet } from './fleet/report.ts';
import { huntAllGroups, runGroups } from './group/campaign.ts';
import { tellScenario } from './scenario.ts';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function main(): number {
  let options: SimArguments;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`sim: ${(thrown as Error).message} (--help shows what there is)\n`);
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
  if (options.scenarios !== undefined) return runScenarios(options.scenarios, options.json);
  if (options.mutants) return runMutants(options);
  return options.group ? runGroupSeeds(options) : runSeeds(options);
}

function runScenarios(how: 'play' | 'rewrite', json: boolean): number {
  const folder = fileURLToPath(new URL('./scenarios/', import.meta.url));
  const scenarios = fs
    .readdirSync(folder)
    .sort()
    .map((file) => {
      const { asTold, why } = playScenario(`${folder}${file}`, how);
      const found = asTold ? 'as told  ' : how === 'rewrite' ? 'rewritten' : 'DIFFERS  ';
      if (!json) print(`${found} ${file}`);
      if (why !== undefined) process.stderr.write(`${why}\n`);
      return { name: file.replace(/\.txt$/, ''), asTold };
    });
  if (json) print(JSON.stringify({ scenarios }));
  return how === 'rewrite' || scenarios.every(({ asTold }) => asTold) ? 0 : 1;
}

/** `why`: it does not even come to its end. */
function playScenario(
  file: string,
  how: 'play' | 'rewrite',
): { readonly asTold: boolean; readonly why?: string } {
  const text = fs.readFileSync(file, 'utf8');
  let told: string;
  try {
    told = tellScenario(text);
  } catch (thrown) {
    // A story that breaks an expectation cannot be written down as one that goes so.
    if (how === 'rewrite') throw thrown;
    return { asTold: false, why: (thrown as Error).message };
  }
  if (told !== text && how === 'rewrite') fs.writeFileSync(file, told);
  return { asTold: told === text };
}

function runMutants({ group, json }: SimArguments): number {
  const mutants = group ? huntAllGroups() : huntAll();
  for (const { rule, caughtAtSeed, by } of mutants) {
    const seed = caughtAtSeed === undefined ? 'NOT CAUGHT' : `seed ${caughtAtSeed}`;
    if (!json) print(`${rule.padEnd(34)} ${seed.padEnd(10)} ${by ?? ''}`);
  }
  if (json) print(JSON.stringify({ mutants }));
  return mutants.every(({ caughtAtSeed }) => caughtAtSeed !== undefined) ? 0 : 1;
}

function runSeeds(options: SimArguments): number {
  const { broken, json } = options;
  const rule = broken?.rule;
  const result = runCampaign(seedsOf(options), broken);
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

function runGroupSeeds(options: SimArguments): number {
  const { failures, ...result } = runGroups(seedsOf(options), options.brokenGroup);
  const rule = options.brokenGroup?.rule;
  for (const { seed, failure, timeline } of failures.slice(0, 3)) {
    explain({ seed, message: failure.message, timeline }, rule, 'group ');
  }
  if (options.json) print(JSON.stringify({ ...result, failures: failures.length }));
  else {
    print(`${result.seeds} seeds, ${failures.length} failed`);
    print(`${result.sets} sets, ${result.failedSets} given up, ${result.takeovers} takeovers`);
  }
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

function explain(
  { seed, message, timeline }: Pick<Failure, 'seed' | 'message' | 'timeline'>,
  rule: string | undefined,
  of = '',
): void {
  const broken = rule === undefined ? '' : ` --break ${rule}`;
  process.stderr.write(
    `\n${timeline}\n\nseed ${seed}: ${message}\ncommit ${commit()}\n` +
      `again: npm run sim -- ${of}--seed ${seed}${broken}\n`,
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
