/**
 * A line of JSON with its checksum behind it: what manifests and the heads of pieces are.
 *
 *   {"understudy":"snapshot","version":1,...}\n
 *   SHA-256 of the first line without its end, 64 hex digits\n
 */
import { hash } from 'node:crypto';
import type { z } from 'zod';
import { damaged } from './failure.ts';

const sumChars = 64;
const newline = 0x0a;

export function sealText(value: unknown): Buffer {
  const line = JSON.stringify(value);
  return Buffer.from(`${line}\n${hash('sha256', line)}\n`);
}

/** What was sealed, and where the bytes behind it begin. `what` names it in errors (`store`). */
export function openSealed<T>(
  bytes: Buffer,
  schema: z.ZodType<T>,
  what: string,
): { readonly value: T; readonly end: number } {
  const lineEnd = bytes.indexOf(newline);
  const end = lineEnd + 1 + sumChars + 1;
  if (lineEnd === -1 || bytes.length < end) throw damaged(`${what} is damaged: it is cut short`);
  const line = bytes.subarray(0, lineEnd);
  const sum = bytes.toString('latin1', lineEnd + 1, end - 1);
  if (hash('sha256', line) !== sum) {
    throw damaged(`${what} is damaged: it has another checksum`);
  }
  let json: unknown;
  try {
    json = JSON.parse(line.toString('utf8'));
  } catch (thrown) {
    throw damaged(`${what} is damaged: it is no JSON`, thrown);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw damaged(
      `${what} is of an unknown version: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  return { value: parsed.data, end };
}
