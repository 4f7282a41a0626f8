/**
 * Compiles what tests start as processes of their own, before the first test and before each rerun.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { compiledDir, root } from './program.ts';

const stamp = path.join(compiledDir, '.stamp');
const sources = ['src', 'sim', 'test', 'package.json', 'tsconfig.json'];

export default function setup(project: TestProject): void {
  compile();
  project.onTestsRerun(compile);
}

/** Without a look at types, which takes its time and is a check of its own. */
function compile(): void {
  fs.mkdirSync(compiledDir, { recursive: true });
  // Another run of tests may compile at this very moment.
  const locked = ['flock', path.join(compiledDir, '.lock'), 'bash', '-euc', script];
  const [command = '', ...args] = locked;
  execFileSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, STAMP: stamp, SOURCES: sources.join(' '), OUT: compiledDir },
  });
}

/**
 * A folder is newer, too, when a file in it was removed. Stamped with the time before the compiler
 * began.
 */
const script = `
if [ -e "$STAMP" ] && [ -z "$(find $SOURCES -newer "$STAMP" -print -quit)" ]; then exit; fi
touch "$STAMP.new"
node_modules/.bin/tsc -p test/compiled
cp package.json "$OUT/"
mv "$STAMP.new" "$STAMP"
`;
