/** A node in miniature, run as a process of its own: starts a child, says its pid, waits. */
import { spawnOwned } from '../../src/host/processes.ts';

const [runDir, ending] = process.argv.slice(2) as [string, string];
const child = spawnOwned({ name: 'grandchild', command: 'sleep', args: ['1000'], runDir });
process.stdout.write(`${child.pid}\n`);
if (ending === 'exit') setTimeout(() => process.exit(0), 50);
else setInterval(() => undefined, 1000);
