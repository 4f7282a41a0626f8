/**
 * `npm run bench -- NAME [arguments]` runs one benchmark of a part, `bench/NAME.ts`; without a name
 * it is `understudy bench`.
 */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length));
const name = process.argv[2];
if (name === undefined || name.startsWith('-') || ['compare', 'report'].includes(name)) {
  process.argv.splice(2, 0, 'bench');
  await import('../src/cli/main.ts');
} else if (!names.includes(name)) {
  process.stderr.write(`usage: npm run bench -- NAME [arguments]\nNAME: ${names.join(', ')}\n`);
  process.exitCode = 2;
} else {
  process.argv.splice(2, 1);
  await import(`./${name}.ts`);
}
