// One host for a directory, and one for a run directory; what a killed one left does not matter.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { defaultHostRunDir, HostRunDir } from '../../src/controller/host-run-dir.ts';
import { livingRecords, writeRecord } from '../../src/controller/node-record.ts';
import { scratchDir } from '../node/scratch.ts';

const scratch = scratchDir();
const at = (name: string): string => path.join(scratch, name);
fs.mkdirSync(at('pairs'));
fs.mkdirSync(at('others'));

it('a second host: refused in the same run directory, and in another one', () => {
  const first = HostRunDir.claim(at('run'), at('pairs'));
  expect(() => HostRunDir.claim(at('run'), at('pairs'))).toThrow(
    `A host for '${at('pairs')}' runs already: process ${process.pid} has '${at('run/host.lock')}'`,
  );
  expect(() => HostRunDir.claim(at('run'), at('others'))).toThrow('runs already');
  expect(() => HostRunDir.claim(at('run2'), at('pairs'))).toThrow('one with another --run-dir');
  HostRunDir.claim(at('run3'), at('others')).release({ isEmpty: true });
  first.release({ isEmpty: true });
  expect(fs.readdirSync(at('run'))).toEqual(['host.lock']);
  HostRunDir.claim(at('run'), at('pairs')).release({ isEmpty: true });
});

it('one default for a directory, whatever it is called', () => {
  fs.symlinkSync(at('pairs'), at('link'));
  expect(defaultHostRunDir(at('link'))).toBe(defaultHostRunDir(at('pairs')));
  expect(defaultHostRunDir(at('others'))).not.toBe(defaultHostRunDir(at('pairs')));
});

it('a path that is too long, or no directory: which, and what to give', () => {
  const long = at('x'.repeat(100));
  expect(() => HostRunDir.claim(long, at('pairs'))).toThrow('is too long for a unix socket');
  fs.writeFileSync(at('file'), '');
  expect(() => HostRunDir.claim(at('file'), at('pairs'))).toThrow(at('file'));
});

it('nodes that were recorded: those that live, and nothing of the others', () => {
  const run = HostRunDir.claim(at('run'), at('pairs'));
  const record = { file: 'web.yaml', control: '/run/web-a/control' };
  writeRecord(run.recordOf('web/a'), { node: 'web/a', ...record, pid: process.pid, digest: '1' });
  writeRecord(run.recordOf('web/b'), { node: 'web/b', ...record, pid: 4_194_304 });
  fs.writeFileSync(run.recordOf('web/c'), '{"understudy":"ho');
  const [found, ...more] = livingRecords(run.records);
  expect(found).toMatchObject({ node: 'web/a', ...record, pid: process.pid, digest: '1' });
  expect(more).toEqual([]);
  expect(fs.readdirSync(run.records)).toEqual(['web.a.json']);
  run.release({ isEmpty: false });
  expect(fs.readdirSync(run.records)).toEqual(['web.a.json']);
});
