/** A program of ours in a world that says lines of JSON: its record, one of them, as a promise. */
import { createInterface } from 'node:readline';
import { UnderstudyError } from '../base/errors.ts';
import type { WorldChild } from './world.ts';

/**
 * `take` gets each line, and returns the record when it is one. Rejects when the program ends
 * without any; `what`, such as 'The load program', is who says so.
 */
export function recordOf<Line, Kept>(
  child: WorldChild,
  what: string,
  take: (line: Line) => Kept | undefined,
): Promise<Kept> {
  let said = '';
  let record: Kept | undefined;
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    record = take(JSON.parse(text) as Line) ?? record;
  });
  const recorded = new Promise<Kept>((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(new UnderstudyError('environment', `${what} failed: ${reason}`));
    child.on('error', (error) => fail(error.message));
    child.on('close', (code) => {
      if (record !== undefined) resolve(record);
      else fail(said.trim() || `it ended with ${code}`);
    });
  });
  recorded.catch(() => undefined); // told to whoever waits for it, also later
  return recorded;
}
