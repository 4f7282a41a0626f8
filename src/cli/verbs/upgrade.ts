/** Hands the machine over to a backup with a newer QEMU, and tells what is to be done next. */
import { UnderstudyError } from '../../base/errors.ts';
import { primaryNode } from '../../observe/pair-nodes.ts';
import { handOver } from './drill.ts';

export interface UpgradeOptions {
  readonly pair: string;
  readonly json?: boolean;
}

/**
 * Throws `link` without a primary here or a backup, `config` when the backup has no other QEMU, and
 * as `drill`.
 */
export async function upgrade({ pair, json = false }: UpgradeOptions): Promise<void> {
  const { config, status } = await primaryNode(pair);
  const { qemu, peerQemu } = status;
  if (peerQemu === undefined) {
    throw new UnderstudyError('link', `Node ${config.name} is not linked to a backup`, {
      hint: 'start the other node, and wait until `understudy status` says protected',
    });
  }
  if (peerQemu === qemu) {
    throw new UnderstudyError('config', `Both nodes have QEMU ${qemu}: there is no newer one`, {
      hint:
        'in the VM file of the backup set qemu to the newer program and upgradeFrom to this one, ' +
        'and start that node again (docs/qemu-versions.md)',
    });
  }
  const handover = await handOver(pair, false);
  if (json) {
    const { killed, ...rest } = handover;
    process.stdout.write(`${JSON.stringify({ ...rest, fromQemu: qemu, toQemu: peerQemu })}\n`);
    return;
  }
  const { from, to, term, ms } = handover;
  process.stdout.write(
    `the machine goes on with QEMU ${peerQemu} on node ${to}, in term ${term}, ` +
      `after ${Math.round(ms)} ms; before: ${qemu} on node ${from}\n` +
      `to be protected again, give node ${from} that QEMU, too: set qemu in its VM file, and the ` +
      `machine and firmware as in that of node ${to}, and start it again\n`,
  );
}
