/** Which QEMU it is, and which layout its event log has. */
import { UnderstudyError } from '../../base/errors.ts';
import type { QemuRelease } from '../../base/qemu-releases.ts';
import { askQemu } from './ask.ts';

export interface QemuVersion {
  /** As QEMU prints it, for people and for comparing two nodes: "7.2.22 (Debian ...)". */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly logLayout: QemuRelease;
}

/** A major release may have another log. */
const lastKnownMajor = 11;

/**
 * Asks the program.
 *
 * @throws UnderstudyError `environment` when it cannot be run, is no QEMU, or is one whose event
 * log is not known.
 */
export async function qemuVersion(program: string): Promise<QemuVersion> {
  const output = await askQemu(program, '--version');
  const text = /version (.*)/.exec(output)?.[1] ?? output.trim();
  const major = Number(/^(\d+)/.exec(text)?.[1]);
  const minor = Number(/^\d+\.(\d+)/.exec(text)?.[1]);
  if (Number.isNaN(major)) {
    const said = JSON.stringify(output.trim().slice(0, 80));
    throw new UnderstudyError('environment', `'${program}' is not QEMU: --version says ${said}`, {
      hint: 'set qemu in the VM file to a qemu-system-x86_64',
    });
  }
  if (major < 7 || (major === 7 && minor < 2)) {
    throw new UnderstudyError(
      'environment',
      `'${program}' is QEMU ${text}: at least 7.2 is needed`,
      { hint: 'install a newer one, or set qemu in the VM file' },
    );
  }
  if (major > lastKnownMajor) {
    throw new UnderstudyError(
      'environment',
      `'${program}' is QEMU ${text}: the event log of releases after ${lastKnownMajor}.x is not known`,
      { hint: `use QEMU 7.2 to ${lastKnownMajor}.x, or set qemu in the VM file to one` },
    );
  }
  return { text, major, minor, logLayout: layoutOf(major, minor) };
}

/** What a release changed in the log: src/rrlog/layouts.ts. */
function layoutOf(major: number, minor: number): QemuRelease {
  if (major > 10) return minor > 0 || major > 11 ? '11.1' : '11.0';
  return major > 8 || (major === 8 && minor >= 1) ? '10.0' : '7.2';
}
