/** `understudy doctor`: can this host run a node, and if not, what to do about it. */
import { Command, InvalidArgumentError } from 'commander';
import type { DoctorOptions } from './verbs/doctor.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check whether this host can run a node, and say what to do')
    .option('--qemu <program>', 'QEMU to check', 'qemu-system-x86_64')
    .option('--memory <MiB>', 'memory of the machine to be protected', mebibytes, 128)
    .option('--run-dir <directory>', 'where RAM images and logs go', '/dev/shm')
    .option('--json', 'machine-readable')
    .action(async (options: DoctorOptions) => (await import('./verbs/doctor.ts')).doctor(options));
}

function mebibytes(text: string): number {
  const value = Number(text.replace(/M$/, ''));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number of MiB, such as 128.');
}
