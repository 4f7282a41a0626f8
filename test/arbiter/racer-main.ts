/**
 * One process of a race for terms: claims the next term again and again, and tells each win.
 * Arguments: the arbiter as in a pair file, how to prove oneself to it (JSON), this racer's name,
 * wins to make.
 *
 * It behaves as a node does: a claim that failed may have been applied, so it reads again. Each
 * claim has a holder of its own, so that a win that was not told is recognised, and told once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArbiterAuth } from '../../src/arbiter/credentials.ts';
import { openArbiter } from '../../src/arbiter/open.ts';
import { parseArbiterSpec } from '../../src/arbiter/spec.ts';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import type { ArbiterState } from '../../src/ports/arbiter.ts';
import { sameState } from '../../src/ports/arbiter.ts';

const [spec = '', auth = '{}', name = '', wins = '0'] = process.argv.slice(2);
const arbiter = await openArbiter(parseArbiterSpec(spec, '/'), {
  pair: 'race',
  auth: JSON.parse(auth) as ArbiterAuth,
});

/** Asks until there is an answer. */
async function insist<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof UnderstudyError)) throw thrown;
      await sleep(10);
    }
  }
}

/** True when `next` was won, also when nobody told us. */
async function claim(current: ArbiterState | undefined, next: ArbiterState): Promise<boolean> {
  try {
    return (await arbiter.compareAndSet(current, next)).won;
  } catch (thrown) {
    if (!(thrown instanceof UnderstudyError)) throw thrown;
    return sameState(await insist(() => arbiter.read()), next);
  }
}

for (let won = 0; won < Number(wins); ) {
  const current = await insist(() => arbiter.read());
  const next = { term: term((current?.term ?? 0) + 1), holder: `${name}:${won}` };
  if (await claim(current, next)) {
    won += 1;
    process.send?.(next.term);
  }
}
await arbiter.close();
process.disconnect?.();
