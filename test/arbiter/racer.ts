/**
 * One process of a race for terms: claims the next term again and again, and tells each win.
 * Arguments: kind of arbiter, its place, this racer's name, wins to make.
 */
import { openFileArbiter } from '../../src/arbiter/file.ts';
import { term } from '../../src/base/units.ts';
import type { Arbiter, ArbiterState } from '../../src/ports/arbiter.ts';

const [kind = '', place = '', name = '', wins = '0'] = process.argv.slice(2);

async function openArbiter(): Promise<Arbiter> {
  switch (kind) {
    case 'file':
      return openFileArbiter({ directory: place });
    default:
      throw new Error(`unknown kind of arbiter '${kind}'`);
  }
}

const arbiter = await openArbiter();
let current = await arbiter.read();
for (let won = 0; won < Number(wins); ) {
  const next: ArbiterState = { term: term((current?.term ?? 0) + 1), holder: name };
  const result = await arbiter.compareAndSet(current, next);
  current = result.won ? next : result.current;
  if (result.won) {
    won += 1;
    process.send?.(next.term);
  }
}
process.disconnect?.();
