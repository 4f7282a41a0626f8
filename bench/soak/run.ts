/** Run one soak by name: `npm run soak -- NAME [arguments]` runs `bench/soak/NAME.ts`. */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length));
const name = process.argv[2];
if (name === undefined || !names.includes(name)) {
  process.stderr.write(`usage: npm run soak -- NAME [arguments]\nNAME: ${names.join(', ')}\n`);
  process.exitCode = 2;
} else {
  process.argv.splice(2, 1);
  await import(`./${name}.ts`);
}
