/**
 * From one QEMU to a newer one, and the guest goes on: a copy is executed with the QEMU of its
 * primary, and taken over with the newer one.
 *
 * Each of both logs is written and read by one QEMU, so they need not be alike. The newer one must
 * have the machine's type, and must know the state that it loads. QEMU reads what older releases
 * saved of the devices of such a machine; the section "replay" it reads only as it writes it itself
 * (device-state/replay-section.ts), so that is rewritten. Tried with 10.0 as the newer one.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { type Layout, layoutFor } from '../../rrlog/layouts.ts';
import { fullMachineType } from './machine-type.ts';
import { type QemuVersion, qemuVersion } from './version.ts';

/** A program, and the layout of the log that it writes. */
interface Program {
  readonly program: string;
  readonly layout: Layout;
}

export interface Upgrade {
  /** `text`: its version. */
  readonly older: Program & Pick<QemuVersion, 'text'>;
  readonly newer: NewerQemu;
}

/** The QEMU that takes over. */
export interface NewerQemu extends Program {
  /** It reads another section "replay" than the older one writes. */
  readonly rewritesState: boolean;
}

/** What a VM file says of it. */
interface Described {
  readonly qemu: string;
  readonly upgradeFrom?: string;
  /** Full name of the machine's type, in `qemu`. */
  readonly machine: string;
}

/** The first whose section "replay" is the one that ours is rewritten to. */
const firstMajor = 10;

/**
 * The upgrade that a VM file asks for; nothing when both are the same version. `version`: of
 * `qemu`.
 *
 * @throws UnderstudyError `environment` when a program cannot be run, `config` when no machine can
 * go from the one to the other.
 */
export async function upgradeOf(vm: Described, version: QemuVersion): Promise<Upgrade | undefined> {
  if (vm.upgradeFrom === undefined) return undefined;
  const program = vm.upgradeFrom;
  const from = await qemuVersion(program);
  if (from.text === version.text) return undefined;
  const order = from.major - version.major || from.minor - version.minor;
  const names = `from QEMU ${from.text} to ${version.text}`;
  if (order > 0) {
    throw new UnderstudyError('config', `No machine goes back ${names}`, {
      hint: 'set qemu in the VM file to the newer one, and upgradeFrom to the older one',
    });
  }
  if (order < 0 && version.major < firstMajor) {
    throw new UnderstudyError('config', `No machine can be taken over ${names}`, {
      hint: `set qemu in the VM file to QEMU ${firstMajor}.0 or later`,
    });
  }
  await requireMachine(program, vm.machine);
  return {
    older: { program, text: from.text, layout: layoutFor(from.logLayout) },
    newer: {
      program: vm.qemu,
      layout: layoutFor(version.logLayout),
      rewritesState: order < 0,
    },
  };
}

async function requireMachine(program: string, machine: string): Promise<void> {
  try {
    await fullMachineType(program, machine);
  } catch {
    const pc = await fullMachineType(program, 'pc');
    throw new UnderstudyError('config', `'${program}' of upgradeFrom has no machine '${machine}'`, {
      hint: `name the type of the machine that runs: machine: ${pc}, if its VM file names none`,
    });
  }
}
