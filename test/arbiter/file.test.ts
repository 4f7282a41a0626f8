/** The `file:` arbiter: the contract, and what a directory can do to it. */
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileArbiter, openFileArbiter } from '../../src/arbiter/file.ts';
import { describeArbiterContract, state } from './contract.ts';

async function setUp() {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'understudy-arbiter-'));
  const opened: FileArbiter[] = [];
  return {
    directory,
    racerArguments: [`file:${directory}`, '{}'] as const,
    open: async () => {
      const arbiter = await openFileArbiter({ directory });
      opened.push(arbiter);
      return arbiter;
    },
    cleanUp: async () => {
      for (const arbiter of opened) await arbiter.close();
      await rm(directory, { recursive: true });
    },
  };
}

describeArbiterContract('file', setUp);

describe('the file arbiter', () => {
  let tested: Awaited<ReturnType<typeof setUp>>;

  beforeEach(async () => {
    tested = await setUp();
  });
  afterEach(() => tested.cleanUp());

  it('keeps one readable file a term, for its owner only', async () => {
    const arbiter = await tested.open();
    await arbiter.compareAndSet(undefined, state(1, 'a'));
    await arbiter.compareAndSet(state(1, 'a'), state(2, 'b'));
    expect(await readdir(tested.directory)).toEqual([
      'term-0000000000000001',
      'term-0000000000000002',
    ]);
    const file = path.join(tested.directory, 'term-0000000000000002');
    expect(await readFile(file, 'utf8')).toBe(
      '{"understudy":"term","version":1,"term":2,"holder":"b"}\n',
    );
  });

  it('names a damaged file and what was expected in it', async () => {
    const file = path.join(tested.directory, 'term-0000000000000001');
    await writeFile(file, '{"understudy":"term","version":1,"te');
    const arbiter = await tested.open();
    await expect(arbiter.read()).rejects.toMatchObject({
      code: 'arbiter',
      message: expect.stringContaining(file) as string,
    });
    await expect(arbiter.compareAndSet(state(1, 'a'), state(2, 'b'))).rejects.toThrow('term 1');
  });

  it('sweeps what a dead process left, and leaves what may be alive', async () => {
    const old = path.join(tested.directory, '.new-1-dead');
    const young = path.join(tested.directory, '.new-2-alive');
    await writeFile(old, '');
    await writeFile(young, '');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(old, longAgo, longAgo);
    const arbiter = await tested.open();
    expect(await readdir(tested.directory)).toEqual(['.new-2-alive']);
    expect(await arbiter.read()).toBeUndefined();
  });

  it('says what to do when the directory cannot be made', async () => {
    const file = path.join(tested.directory, 'file');
    await writeFile(file, '');
    await expect(openFileArbiter({ directory: path.join(file, 'x') })).rejects.toMatchObject({
      code: 'arbiter',
      hint: expect.any(String) as string,
    });
  });

  it('tells that a claim may have happened when the directory is gone', async () => {
    const arbiter = await tested.open();
    await rm(tested.directory, { recursive: true });
    await expect(arbiter.compareAndSet(undefined, state(1, 'a'))).rejects.toMatchObject({
      code: 'arbiter',
    });
    await openFileArbiter({ directory: tested.directory }).then((again) => again.close());
  });
});
