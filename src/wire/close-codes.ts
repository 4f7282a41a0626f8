/** WebSocket close codes: how the two sides tell each other why a link ended. */
import type { LinkCloseCode } from '../ports/link.ts';
import { wireLimits } from './limits.ts';

const numbers = {
  closed: 1000,
  vanished: 1006,
  refused: 4000,
  'bad-frame': 4001,
  credit: 4002,
  overflow: 4003,
  handler: 4004,
} as const satisfies Record<LinkCloseCode, number>;

const names = new Map<number, LinkCloseCode>(
  Object.entries(numbers).map(([name, number]) => [number, name as LinkCloseCode]),
);
/** Given by the WebSocket layer itself: wrong framing, wrong type of data, too large. */
for (const number of [1002, 1003, 1007, 1009]) names.set(number, 'bad-frame');
/** The process at the other side ends in an orderly way. */
names.set(1001, 'closed');
names.set(1005, 'closed');

export function numberOfCloseCode(code: LinkCloseCode): number {
  return numbers[code];
}

/** A code that no version of this program sends counts as a broken connection. */
export function closeCodeOfNumber(number: number): LinkCloseCode {
  return names.get(number) ?? 'vanished';
}

/** Cuts a reason to what a close frame can carry, at a whole character. */
export function fitCloseReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= wireLimits.closeReasonBytes) return reason;
  return bytes.toString('utf8', 0, wireLimits.closeReasonBytes).replace(/\uFFFD+$/, '');
}
