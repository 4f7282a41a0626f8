/**
 * The rules that a node is made of. They are in one place so that the simulator can break one at a
 * time, and see that it is noticed (sim/mutants.ts); nothing else ever gives other ones.
 */
import { ArbiterWatch, type ArbiterWatchOptions } from './arbiter-watch.ts';
import { BackupCore, type BackupOptions } from './backup.ts';
import { type CutPolicy, Cuts } from './cuts.ts';
import { FlowControl } from './flow-control.ts';
import { LinedPrimary, type LineOptions } from './line.ts';
import { choose } from './membership.ts';
import { PrimaryCore } from './primary.ts';
import type { PrimaryOptions } from './primary-events.ts';
import { judgeTerm } from './terms.ts';

export interface Rules {
  readonly primary: (options: PrimaryOptions) => PrimaryCore;
  readonly backup: (options: BackupOptions) => BackupCore;
  readonly line: (core: PrimaryCore, options: LineOptions) => LinedPrimary;
  readonly flow: (onBackupLag: 'hold' | 'runAlone') => FlowControl;
  readonly cuts: (policy: CutPolicy) => Cuts;
  readonly watch: (options: ArbiterWatchOptions) => ArbiterWatch;
  readonly choose: typeof choose;
  readonly judgeTerm: typeof judgeTerm;
}

export const rules: Rules = {
  primary: (options) => new PrimaryCore(options),
  backup: (options) => new BackupCore(options),
  line: (core, options) => new LinedPrimary(core, options),
  flow: (onBackupLag) => new FlowControl(onBackupLag),
  cuts: (policy) => new Cuts(policy),
  watch: (options) => new ArbiterWatch(options),
  choose,
  judgeTerm,
};
