/** Sets the arbiter of a pair up, which is done once, for the operator: no node does it. */
import { openArbiter } from '../arbiter/open.ts';
import { nameOfArbiter, textOfArbiter } from '../arbiter/spec.ts';
import type { ArbiterSetUp } from '../ports/arbiter.ts';
import { loadPairConfig, nodeNames } from './pair-file/pair-config.ts';

export interface PairSetUp extends ArbiterSetUp {
  readonly pair: string;
  /** As in a pair file, with an absolute path. */
  readonly arbiter: string;
  /** As in "The arbiter in '/srv/web/arbiter'". */
  readonly name: string;
}

/**
 * The arbiter that the pair file names; one that was set up before stays as it is. Rejects with
 * `UnderstudyError` ('config', 'rights', 'arbiter').
 */
export async function setUpArbiterOf(pairFile: string): Promise<PairSetUp> {
  const [node = ''] = nodeNames(pairFile);
  const { pair, arbiter, arbiterAuth } = loadPairConfig(pairFile, node);
  const opened = await openArbiter(arbiter, { pair, auth: arbiterAuth });
  try {
    const name = nameOfArbiter(arbiter);
    return { pair, arbiter: textOfArbiter(arbiter), name, ...(await opened.setUp()) };
  } finally {
    await opened.close();
  }
}
