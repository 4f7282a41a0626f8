/** Fields of the VM file one by one: what each may be, said in the words of the error. */
import { closeSync, openSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { asError } from '../../base/errors.ts';
import { broughtImageProblem } from '../disks/image-format.ts';

const kib = 1024;
const mib = 1024 * kib;
const units: Readonly<Record<string, number>> = { '': 1, K: kib, M: mib, G: 1024 * mib };

/** Huge pages have this size; nobody wants a machine with an odd amount of memory. */
const memoryStepBytes = 2 * mib;
const memoryMinBytes = 32 * mib;
/** Larger has not been tried; a copy to the backup would take minutes. */
const memoryMaxBytes = 64 * 1024 * mib;
const sectorBytes = 512;

/** A message for every way in which a value can be wrong. */
export const must = (text: string) => ({
  error: (issue: { readonly input?: unknown }): string =>
    issue.input === undefined
      ? `is missing: must be ${text}`
      : `must be ${text}: current value is ${show(issue.input)}`,
});

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** A text that is refused with the reason that `refuse` gives. */
export function textUnless(what: string, refuse: (value: string) => string | undefined) {
  return z.string(must(what)).superRefine((value, context) => {
    const reason = refuse(value);
    if (reason !== undefined) context.addIssue({ code: 'custom', message: reason });
  });
}

/** "128M", "1G", "65536K" or a number of bytes. */
function byteCount(what: string) {
  return z.union([z.string(), z.number()], must(what)).transform((value, context) => {
    const [, digits, unit] = /^([0-9]+)\s*([KMG]?)i?B?$/.exec(String(value).trim()) ?? [];
    const bytes = Number(digits) * (units[unit ?? ''] ?? Number.NaN);
    if (Number.isSafeInteger(bytes)) return bytes;
    context.addIssue({ code: 'custom', message: must(what).error({ input: value }) });
    return z.NEVER;
  });
}

export const memoryField = byteCount('a size such as 128M or 1G').superRefine((bytes, context) => {
  const refuse = (text: string): void =>
    context.addIssue({
      code: 'custom',
      message: `must be ${text}: current value is ${bytes} bytes`,
    });
  if (bytes < 64 * kib) refuse('at least 32M (a number without a unit is in bytes)');
  else if (bytes < memoryMinBytes) refuse('at least 32M');
  else if (bytes > memoryMaxBytes) refuse('at most 64G');
  else if (bytes % memoryStepBytes !== 0) refuse('a multiple of 2M');
});

export const diskSizeField = byteCount('a size such as 512M or 8G').refine(
  (bytes) => bytes > 0 && bytes % sectorBytes === 0,
  must('a multiple of 512 bytes'),
);

const nameText = '1 to 32 letters, digits, dots, hyphens or underscores, beginning with a letter';
export const nameField = z
  .string(must(nameText))
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,31}$/, must(nameText));

const idText = '1 to 16 small letters, digits or underscores, beginning with a letter';
export const diskIdField = z
  .string(must(idText))
  .regex(/^[a-z][a-z0-9_]{0,15}$/, must(idText))
  // The network cards' devices have these names.
  .refine((id) => !/^net[0-9]+$/.test(id), must('another id: net and a number is a network card'));

export const portField = z
  .string(must(idText))
  .regex(/^[a-z][a-z0-9_]{0,15}$/, must(idText))
  .refine((name) => name !== 'console', must('another name: every machine has its console'));

const macText = 'a MAC address such as 52:54:00:12:34:56';
export const macField = z
  .string(must(macText))
  .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/, must(macText))
  .transform((mac) => mac.toLowerCase())
  .superRefine((mac, context) => {
    const first = Number.parseInt(mac.slice(0, 2), 16);
    if ((first & 1) === 0 && mac !== '00:00:00:00:00:00') return;
    const text = 'the address of one card: the first byte must be even (52 for example)';
    context.addIssue({ code: 'custom', message: must(text).error({ input: mac }) });
  });

/** A path relative to the VM file, made absolute; the file must be there and readable. */
export function fileField(baseDir: string, what: string) {
  return pathField(baseDir, what).superRefine((file, context) => {
    const problem = fileProblem(file);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });
}

/** As `fileField`, and the file must be a raw image. */
export function imageField(baseDir: string) {
  return pathField(baseDir, 'the path of a raw disk image').superRefine((file, context) => {
    const problem = imageProblem(file);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });
}

function pathField(baseDir: string, what: string) {
  return z
    .string(must(what))
    .min(1, must(what))
    .transform((file) => path.resolve(baseDir, file));
}

function fileProblem(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return `must be a regular file: ${file} is none`;
    closeSync(openSync(file, 'r'));
    return undefined;
  } catch (thrown) {
    return `cannot be read: ${asError(thrown).message}`;
  }
}

function imageProblem(file: string): string | undefined {
  return broughtImageProblem(file) ?? fileProblem(file);
}

/** Why an image does not have the size that the file gives. */
export function imageSizeProblem(file: string, wanted: number | undefined): string | undefined {
  if (wanted === undefined) return undefined;
  const { size } = statSync(file);
  if (size === wanted) return undefined;
  return `must be the size of the image: current value is ${wanted}, but ${file} has ${size} bytes`;
}
