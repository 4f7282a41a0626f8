/** The output rule, and the policy to hold: judged at the moment of a release. */
import { type Checker, type Released, Violation } from './facts.ts';

export class OutputRule implements Checker {
  released(fact: Released): void {
    const { node, history, indices, state, mustHold, backupHolds, term, spoken } = fact;
    if (!fact.mayBeHeard) {
      throw new Violation('output-rule', `${node} lets a machine be heard that was not announced`);
    }
    if (spoken < term) {
      throw new Violation('output-rule', `${node} speaks in term ${term}, and remembers ${spoken}`);
    }
    if (mustHold && (state === 'alone' || state === 'holding')) {
      throw new Violation('output-rule', `${node} speaks alone although its policy is to hold`);
    }
    if (state === 'claiming') {
      throw new Violation('output-rule', `${node} speaks before its claim is answered`);
    }
    if (backupHolds === undefined) return;
    for (const index of indices) {
      const position = history.outputs[index]?.position ?? 0;
      if (position <= backupHolds) continue;
      throw new Violation(
        'output-rule',
        `${node} released output ${index}, which log position ${position} led to; ` +
          `its backup holds the log up to ${backupHolds}`,
      );
    }
  }
}
