/** The `file:` arbiter: the contract, and what a directory can do to it. */
import {
  cp,
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FileArbiter } from '../../src/arbiter/file.ts';
import { withResolvers } from '../../src/base/with-resolvers.ts';
import { describeArbiterContract, state } from './contract.ts';

async function setUp() {
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'understudy-arbiter-'));
  const directory = path.join(scratch, 'terms');
  const opened: FileArbiter[] = [];
  return {
    directory,
    beside: (name: string) => path.join(scratch, name),
    racerArguments: [`file:${directory}`, '{}'] as const,
    open: async () => {
      const arbiter = new FileArbiter({ directory });
      opened.push(arbiter);
      return arbiter;
    },
    cleanUp: async () => {
      for (const arbiter of opened) await arbiter.close();
      await rm(scratch, { recursive: true });
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

  const openNew = async (): Promise<FileArbiter> => {
    const arbiter = await tested.open();
    await arbiter.setUp();
    return arbiter;
  };

  it('two looks that overlap: the older one may end last, and is no older copy', async () => {
    const writer = await openNew();
    const reader = await tested.open();
    await writer.compareAndSet(undefined, state(1, 'a'));
    const { promise: released, resolve: release } = withResolvers();
    const handle = await open(tested.directory);
    const sync = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'sync');
    await handle.close();
    const { promise: waits, resolve: isWaiting } = withResolvers();
    sync.mockImplementationOnce(async () => {
      isWaiting();
      await released;
    });
    const older = reader.look();
    await waits;
    await writer.compareAndSet(state(1, 'a'), state(2, 'b'));
    expect((await reader.look()).state).toEqual(state(2, 'b'));
    release();
    expect((await older).state).toEqual(state(1, 'a'));
    sync.mockRestore();
  });

  it('keeps one readable file a term, for its owner only', async () => {
    const arbiter = await openNew();
    await arbiter.compareAndSet(undefined, state(1, 'a'));
    await arbiter.compareAndSet(state(1, 'a'), state(2, 'b'));
    expect(await readdir(tested.directory)).toEqual([
      'identity',
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
    const arbiter = await openNew();
    await writeFile(file, '{"understudy":"term","version":1,"te');
    await expect(arbiter.read()).rejects.toMatchObject({
      code: 'arbiter',
      message: expect.stringContaining(file) as string,
    });
    await expect(arbiter.compareAndSet(state(1, 'a'), state(2, 'b'))).rejects.toThrow('term 1');
  });

  it('sweeps what a dead process left, and leaves what may be alive', async () => {
    await (await openNew()).setUp();
    const old = path.join(tested.directory, '.new-1-dead');
    const young = path.join(tested.directory, '.new-2-alive');
    await writeFile(old, '');
    await writeFile(young, '');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(old, longAgo, longAgo);
    const arbiter = await tested.open();
    expect(await arbiter.read()).toBeUndefined();
    expect(await readdir(tested.directory)).toEqual(['.new-2-alive', 'identity']);
  });

  it('says what to do when the directory cannot be made', async () => {
    const file = tested.beside('file');
    await writeFile(file, '');
    const arbiter = new FileArbiter({ directory: path.join(file, 'x') });
    await expect(arbiter.setUp()).rejects.toMatchObject({
      ...{ code: 'arbiter', mayPass: false, hint: expect.any(String) as string },
    });
  });

  it('makes no directory when it is asked, and finds the one that is made later', async () => {
    const arbiter = await tested.open();
    for (const ask of [
      () => arbiter.look(),
      () => arbiter.compareAndSet(undefined, state(1, 'a')),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        ...{ code: 'arbiter', mayPass: true },
        message: `The arbiter's directory '${tested.directory}' is not there`,
        hint: expect.stringContaining('mounted') as string,
      });
    }
    expect(await readdir(tested.beside('.'))).toEqual([]);
    const { identity } = await (await tested.open()).setUp();
    expect(await arbiter.look()).toEqual({ identity, state: undefined });
  });

  it('an identity that is damaged: refuses, and names the file', async () => {
    const arbiter = await openNew();
    const file = path.join(tested.directory, 'identity');
    await writeFile(file, '{"understudy":"arb');
    const claim = () => arbiter.compareAndSet(undefined, state(1, 'a'));
    for (const ask of [() => arbiter.look(), () => arbiter.setUp(), claim]) {
      await expect(ask()).rejects.toThrow(`Cannot read the identity of the arbiter from '${file}'`);
    }
  });

  it('terms without an identity, as an earlier version made them: stay when it is set up', async () => {
    const before = await openNew();
    await before.compareAndSet(undefined, state(1, 'a'));
    await rm(path.join(tested.directory, 'identity'));
    const arbiter = await tested.open();
    expect(await arbiter.look()).toEqual({ identity: undefined, state: state(1, 'a') });
    const { identity, isNew } = await arbiter.setUp();
    expect(isNew).toBe(true);
    expect(await arbiter.look()).toEqual({ identity, state: state(1, 'a') });
  });

  describe('while it is open, its directory', () => {
    let arbiter: FileArbiter;
    let identity: string;

    beforeEach(async () => {
      arbiter = await openNew();
      ({ identity } = await arbiter.setUp());
      await arbiter.compareAndSet(undefined, state(1, 'a'));
      await arbiter.compareAndSet(state(1, 'a'), state(2, 'b'));
    });

    it('is removed: nothing is won, and it may come back', async () => {
      await rename(tested.directory, tested.beside('away'));
      const gone = { code: 'arbiter', mayPass: true };
      await expect(arbiter.read()).rejects.toMatchObject(gone);
      const claim = arbiter.compareAndSet(state(2, 'b'), state(3, 'a'));
      await expect(claim).rejects.toMatchObject(gone);
      await rename(tested.beside('away'), tested.directory);
      expect(await arbiter.look()).toEqual({ identity, state: state(2, 'b') });
      expect(await arbiter.compareAndSet(state(2, 'b'), state(3, 'a'))).toEqual({ won: true });
    });

    it('is an empty one all at once, as under a share that is not mounted any more', async () => {
      await rename(tested.directory, tested.beside('away'));
      await mkdir(tested.directory);
      expect(await arbiter.look()).toEqual({ identity: undefined, state: undefined });
      const claim = arbiter.compareAndSet(undefined, state(1, 'a'));
      await expect(claim).rejects.toThrow('was never set up');
      expect(await readdir(tested.directory)).toEqual([]);
    });

    it('is an older copy of itself all at once: refused, until it is the newer one', async () => {
      await cp(tested.directory, tested.beside('copy'), { recursive: true });
      await arbiter.compareAndSet(state(2, 'b'), state(3, 'a'));
      await arbiter.read();
      await rename(tested.directory, tested.beside('newer'));
      await rename(tested.beside('copy'), tested.directory);
      await expect(arbiter.read()).rejects.toThrow('it holds term 2, and has held 3');
      await rename(tested.directory, tested.beside('copy'));
      await rename(tested.beside('newer'), tested.directory);
      expect(await arbiter.look()).toEqual({ identity, state: state(3, 'a') });
    });

    it('is that of another pair all at once: has the other identity', async () => {
      const other = new FileArbiter({ directory: tested.beside('other') });
      const made = await other.setUp();
      await other.compareAndSet(undefined, state(1, 'x'));
      await other.close();
      await rename(tested.directory, tested.beside('away'));
      await rename(tested.beside('other'), tested.directory);
      expect(made.identity).not.toBe(identity);
      expect(await arbiter.look()).toEqual({ identity: made.identity, state: state(1, 'x') });
    });
  });
});
