/**
 * Whether this host can run a node, and if not, what to do about it.
 *
 * Exit 0 when all that is needed is there (warnings included), 1 when something is missing.
 */
import { styleText } from 'node:util';
import { checkQemu, type FeatureCheck } from '../../hypervisor/qemu/features.ts';
import { checkHost } from '../../hypervisor/qemu/host-features.ts';

export interface DoctorOptions {
  readonly qemu: string;
  /** MiB. */
  readonly memory: number;
  readonly runDir: string;
  readonly json?: boolean;
}

const mib = 1024 * 1024;

/** Checks everything, and prints what was found. */
export async function doctor({ qemu, memory, runDir, json }: DoctorOptions): Promise<void> {
  const checks = [
    ...(await checkHost({ memoryBytes: memory * mib, runDir })),
    ...(await checkQemu({ qemu, scratchDir: runDir })),
  ];
  const ok = !checks.some(({ status }) => status === 'fail');
  const text = json
    ? JSON.stringify({ ok, checks }, undefined, 2)
    : formatChecks(checks, { colour: colourWanted() });
  process.stdout.write(`${text}\n`);
  if (!ok) process.exitCode = 1;
}

function colourWanted(): boolean {
  return process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '';
}

const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;
const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

/** The checks as a table, what to do under each that needs it, and a last line that sums up. */
export function formatChecks(
  checks: readonly FeatureCheck[],
  { colour }: { readonly colour: boolean },
): string {
  const style = (format: Parameters<typeof styleText>[0], text: string): string =>
    // Whether colours are wanted was decided by the caller.
    colour ? styleText(format, text, { validateStream: false }) : text;
  const width = Math.max(...checks.map(({ title }) => title.length));
  const indent = ' '.repeat(marks.ok.length + 2 + width + 2);
  const lines = checks.flatMap(({ title, status, detail, hint }) => [
    `${style(colours[status], marks[status])}  ${style('bold', title.padEnd(width))}  ${detail}`,
    ...(hint === undefined ? [] : [`${indent}${style('cyan', 'to do:')} ${hint}`]),
  ]);
  return [...lines, '', summary(checks, style)].join('\n');
}

function summary(
  checks: readonly FeatureCheck[],
  style: (format: 'green' | 'yellow' | 'red', text: string) => string,
): string {
  const count = (wanted: FeatureCheck['status']): number =>
    checks.filter(({ status }) => status === wanted).length;
  const [failed, warned] = [count('fail'), count('warn')];
  if (failed > 0) return style('red', `Not ready: ${failed} of ${checks.length} checks failed.`);
  if (warned > 0) return style('yellow', `Ready, with ${warned} of ${checks.length} to look at.`);
  return style('green', `Ready: all ${checks.length} checks passed.`);
}
