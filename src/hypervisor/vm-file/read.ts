/**
 * Reads a VM file and finds all that is wrong with it, each problem with its place and line.
 *
 * Syntax first: a file that is not YAML has no keys to complain about. Then the schema, key by key,
 * and what concerns several keys at once; a problem with one key does not hide those of others.
 */
import YAML, { isMap, LineCounter, type ParsedNode, parseDocument } from 'yaml';
import type { z } from 'zod';
import { asError } from '../../base/errors.ts';
import { nearest } from './nearest.ts';
import { defaultQemu, keysAt, type VmFile, vmSchema } from './schema.ts';

/** One thing that is wrong, and where. */
export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  /** `disks[0].path`; empty for the file as a whole. */
  readonly place: string;
  /** Why, and what to write instead. */
  readonly message: string;
}

type Place = readonly PropertyKey[];

/** A screen of text is usual; a program that writes more than this has gone wrong. */
const fileMaxChars = 256 * 1024;

/** The file as the schema sees it, or everything that is wrong with it. */
export function readVmFile(text: string, baseDir: string): VmFile | readonly Problem[] {
  if (text.length > fileMaxChars) {
    return [{ line: 1, place: '', message: `has more than ${fileMaxChars} characters` }];
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const lineOf = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  if (document.errors.length > 0) {
    return document.errors.map((error) => ({
      line: lineOf(error.pos[0]),
      place: '',
      message: `is not YAML: ${(error.message.split('\n')[0] as string).replace(/ at line .*/, '')}`,
    }));
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (thrown) {
    return [{ line: 1, place: '', message: `is not usable YAML: ${asError(thrown).message}` }];
  }
  const problems: { place: Place; message: string }[] = [];
  const result = vmSchema(baseDir).safeParse(value);
  for (const issue of result.error?.issues ?? []) problems.push(...explain(issue));
  problems.push(...crossChecks(value));
  if (result.success && problems.length === 0) return result.data;
  return problems
    .map(({ place, message }) => ({
      line: lineOf(offsetOf(document.contents, place)),
      place: placeText(place),
      message,
    }))
    .sort((a, b) => a.line - b.line);
}

/** The QEMU program of a file that was checked once, on a host that may have none of its files. */
export function qemuNamedBy(text: string): string {
  const { qemu } = asRecord(YAML.parse(text));
  return typeof qemu === 'string' ? qemu : defaultQemu;
}

/** How many network cards it has, in the same way. */
export function cardsNamedBy(text: string): number {
  const { nics } = asRecord(YAML.parse(text));
  return Array.isArray(nics) ? nics.length : 0;
}

function explain(issue: z.core.$ZodIssue): { place: Place; message: string }[] {
  if (issue.code !== 'unrecognized_keys') return [{ place: issue.path, message: issue.message }];
  const { known, refused } = keysAt(issue.path);
  return issue.keys.map((key) => {
    const reason = Object.hasOwn(refused, key) ? refused[key] : undefined;
    const meant = nearest(key, known);
    const suggestion =
      meant === undefined ? `known keys are ${known.join(', ')}` : `did you mean '${meant}'?`;
    const message = reason === undefined ? `unknown key: ${suggestion}` : `not possible: ${reason}`;
    return { place: [...issue.path, key], message };
  });
}

/** What concerns several keys; on the raw value, which may still be anything. */
function crossChecks(value: unknown): { place: Place; message: string }[] {
  const file = asRecord(value);
  const disks = Array.isArray(file.disks) ? file.disks.map(asRecord) : [];
  const nics = Array.isArray(file.nics) ? file.nics.map(asRecord) : [];
  const ids = disks.map(({ id }, index) => (typeof id === 'string' ? id : defaultDiskId(index)));
  const paths = disks.map((disk) => disk.path);
  const ports: unknown[] = Array.isArray(file.ports) ? file.ports : [];
  const macs = nics.map(({ mac }) => (typeof mac === 'string' ? mac.toLowerCase() : undefined));
  return [
    ...repeated(ids, (index) => ['disks', index, 'id'], 'another disk has this id'),
    ...repeated(paths, (index) => ['disks', index, 'path'], 'another disk has this image'),
    ...repeated(macs, (index) => ['nics', index, 'mac'], 'another card has this address'),
    ...repeated(ports, (index) => ['ports', index], 'another port has this name'),
    ...bootProblems(file.boot, disks.length),
  ];
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function repeated(values: unknown[], place: (index: number) => Place, what: string) {
  return values.flatMap((value, index) =>
    value !== undefined && values.indexOf(value) < index
      ? [{ place: place(index), message: `${what}: current value is ${String(value)}` }]
      : [],
  );
}

function bootProblems(boot: unknown, diskCount: number): { place: Place; message: string }[] {
  const { kernel, disk, initrd, append } = asRecord(boot);
  const fromDisk = kernel === undefined;
  if (disk !== undefined && !fromDisk) {
    return [{ place: ['boot'], message: 'must have `kernel` or `disk: true`, not both' }];
  }
  if (!fromDisk) return [];
  const orphans = Object.entries({ initrd, append }).filter(([, given]) => given !== undefined);
  if (orphans.length > 0) {
    return orphans.map(([key]) => ({ place: ['boot', key], message: 'needs `kernel` beside it' }));
  }
  if (diskCount > 0) return [];
  const message = 'there is no disk to boot from: add one to `disks`, or write `kernel` here';
  return [{ place: ['boot'], message }];
}

/** The id of a disk that has none in the file. */
export function defaultDiskId(index: number): string {
  return `d${index}`;
}

/** Where a place is in the text: its key, or else the nearest thing around it that is there. */
function offsetOf(contents: ParsedNode | null, place: Place): number {
  let node: ParsedNode | null | undefined = contents;
  let offset = contents?.range[0] ?? 0;
  for (const step of place) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as ParsedNode).range[0];
      node = pair.value as ParsedNode | null;
    } else {
      node = (node as { items?: ParsedNode[] } | null)?.items?.[Number(step)];
      if (node === undefined) break;
      offset = node.range[0];
    }
  }
  return offset;
}

function placeText(place: Place): string {
  return place
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
}
