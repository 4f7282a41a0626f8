/** What says where the snapshot store is. */
import type { Command } from 'commander';

export interface StoreOption {
  readonly store?: string;
  readonly pair?: string;
}

/** Adds the two options to a verb. */
export function withStore(command: Command): Command {
  return command
    .option('--store <directory>', 'the snapshot store')
    .option('--pair <file>', 'a pair file that names the store');
}
