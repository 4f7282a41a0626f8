// Raises its priority, and prints how each of its threads is scheduled: 2 is SCHED_RR (proc(5)).
import fs from 'node:fs';
import { raisePriority } from '../../src/host/priority.ts';

const raised = raisePriority();
const policies = fs.readdirSync('/proc/self/task').map((thread) => {
  const stat = fs.readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
});
process.stdout.write(JSON.stringify({ raised, policies }));
