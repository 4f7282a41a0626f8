/** Which members can go on from their durable logs, before anything is executed. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';
import { loadGroup } from '../../src/group/group-file.ts';
import { planRestart } from '../../src/group/restart.ts';
import { DurableLog } from '../../src/restore/durable-log.ts';
import { scratchDirectory } from '../store/rig.ts';

/** Two pairs; `acks`: of each. */
function groupOf(acks: readonly string[] = ['durable', 'durable']): string {
  const directory = scratchDirectory();
  for (const [index, name] of ['web', 'db'].entries()) {
    const nodes = ['a', 'b'].map(
      (node, at) =>
        `  ${node}: { listen: 'ws://127.0.0.1:${9001 + at}', runDir: ${name}-${node}, stateDir: ${name} }`,
    );
    const head = `pair: ${name}\nvm: vm.yaml\narbiter: 'file:${name}-terms'\nack: ${acks[index]}`;
    const text = `${head}\nsnapshots: { store: ${name} }\nnodes:\n${nodes.join('\n')}\n`;
    fs.writeFileSync(path.join(directory, `${name}.yaml`), text);
  }
  const file = path.join(directory, 'group.yaml');
  fs.writeFileSync(file, 'group: bank\nmembers: { web: web.yaml, db: db.yaml }\nsets: sets\n');
  return file;
}

/** What a backup of this term leaves. */
async function leaveLog(file: string, pair: string, ofTerm: number): Promise<void> {
  const directory = path.join(path.dirname(file), pair);
  fs.mkdirSync(directory, { recursive: true });
  const log = new DurableLog(
    { path: path.join(directory, `${pair}-b.durable-log`), budgetBytes: 1e9 },
    {
      ...{ pair, vmFingerprint: 'f', layout: '7.2', term: ofTerm, seedId: '1.1' },
      ...{ position: logPosition(0), icount: icount(0), blockRequestId: 0 },
    },
    {
      onDurable: () => undefined,
      onFailure: (error) => {
        throw error;
      },
    },
  );
  await log.close();
}

/** `unproven`: the last term is that of a takeover that was not over yet. */
async function giveTerms(
  file: string,
  pair: string,
  { count, unproven }: { readonly count: number; readonly unproven?: true },
): Promise<void> {
  const arbiter = new FileArbiter({ directory: path.join(path.dirname(file), `${pair}-terms`) });
  await arbiter.setUp();
  for (let next = 1; next <= count; next += 1) {
    const isLast = unproven === true && next === count;
    const state = { term: term(next), holder: 'n', ...(isLast ? { unproven } : {}) };
    await arbiter.compareAndSet(await arbiter.read(), state);
  }
  await arbiter.close();
}

const problemOf = (file: string): Promise<unknown> =>
  planRestart(loadGroup(file)).then(
    () => undefined,
    (error: unknown) => error,
  );

it('a member that acknowledges before its log is on a disk is refused by name', async () => {
  expect(await problemOf(groupOf(['durable', 'received']))).toMatchObject({
    code: 'config',
    cause: { message: expect.stringMatching(/^'db': /) },
  });
});

it('members without a log here, and those that ran alone since, are all told', async () => {
  const file = groupOf();
  await leaveLog(file, 'db', 3);
  await giveTerms(file, 'db', { count: 4 });
  const problem = await problemOf(file);
  expect(problem).toMatchObject({ code: 'store' });
  const { message } = problem as Error;
  expect(message).toMatch(/web: there is no durable log in .*web-a\.durable-log and .*web-b\./);
  expect(message).toMatch(/db: its log is of term 3, and its machine may have spoken in 4/);
});

it('a term that a takeover claimed and never proved was not spoken in', async () => {
  const file = groupOf();
  for (const pair of ['web', 'db']) await leaveLog(file, pair, 3);
  await giveTerms(file, 'web', { count: 4, unproven: true });
  await giveTerms(file, 'db', { count: 3 });
  // The next thing that is looked at.
  expect(((await problemOf(file)) as Error).message).toMatch(
    /web: .*vm\.yaml[\s\S]*db: .*vm\.yaml/,
  );
});
