/** The `understudy` command. */
import { runCommand } from './exit.ts';
import { understudyProgram } from './program.ts';

await runCommand(() => understudyProgram().parseAsync());
// A verb that is done ends, whatever it has left open.
process.exit();
