/** The `understudy` command. */
import { runCommand } from './exit.ts';
import { understudyProgram } from './program.ts';

await runCommand(() => understudyProgram().parseAsync());
