import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { Epoch } from '../../src/base/units.ts';
import { logCommand } from '../../src/cli/log.ts';
import type { LogStatistics } from '../../src/cli/verbs/log.ts';
import { encodeHeader } from '../../src/rrlog/encoder.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail } from '../../src/rrlog/log-tail.ts';
import { encodeMarkerFrame } from '../../src/rrlog/marker.ts';
import { compiled } from '../compiled/program.ts';
import { idleLog } from './idle-log.ts';

const layout = layoutFor('7.2');
const folder = mkdtempSync(join(tmpdir(), 'understudy-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...parts: Buffer[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

/** Runs a verb in this process and gives what it printed. */
async function run(...args: string[]): Promise<string> {
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation(((
    text: string,
    done: () => void,
  ) => {
    printed += text;
    done();
    return true;
  }) as never);
  try {
    await new Command('understudy')
      .addCommand(logCommand())
      .parseAsync(['node', 'understudy', 'log', ...args]);
  } finally {
    write.mockRestore();
    process.stdout.removeAllListeners('error');
  }
  return printed;
}

const block = encodeEvent(layout, { kind: 'block', id: 4 });
const step = encodeEvent(layout, { kind: 'instruction', count: 1_000_000 });
const data = encodeMarkerFrame(8 as Epoch);
const marker = encodeEvent(layout, { kind: 'net', id: 1, flags: 0, data });
const end = encodeEvent(layout, { kind: 'end' });
const log = file('whole', encodeHeader(layout), step, block, marker, end);

describe('understudy log', () => {
  it('dump prints each event with its position and icount', async () => {
    // Goal: a person can find an event by position, and a marker by its epoch.
    const lines = (await run('dump', log)).trimEnd().split('\n');
    expect(lines).toEqual([
      '12  1000000  instruction  count=1000000',
      '17  1000000  block  id=4',
      '26  1000000  net  marker epoch=8 frame=4200',
      '4236  1000000  end',
    ]);
  });

  it('dump selects by range and kind, in JSON too', async () => {
    // Goal: --from is inclusive, --to exclusive, --kind takes families, names and markers.
    expect(await run('dump', log, '--from', '17', '--to', '26')).toBe('17  1000000  block  id=4\n');
    expect(await run('dump', log, '--kind', 'marker')).toMatch(/^26 .* epoch=8/);
    expect(JSON.parse(await run('dump', log, '--kind', 'block', '--json'))).toEqual({
      position: 17,
      end: 26,
      icount: 1_000_000,
      kind: 'block',
      id: 4,
    });
    await expect(run('dump', log, '--kind', 'blok')).rejects.toMatchObject({ code: 'config' });
    await expect(run('dump', log, '--from', '1e3')).rejects.toMatchObject({ code: 'config' });
  });

  it('stat counts events and bytes, and knows a clean end from a torn one', async () => {
    // Goal: the numbers add up to the file, the padding of markers apart.
    const whole = JSON.parse(await run('stat', log, '--json')) as LogStatistics;
    expect(whole).toMatchObject({ position: 4237, icount: 1_000_000, events: 4, ended: true });
    expect(whole).toMatchObject({ markers: 1, firstEpoch: 8, lastEpoch: 8, tornBytes: 0 });
    expect(whole.bytesPerMillionInstructions).toBe(5 + 9 + 42 + 1);
    expect(whole.kinds.reduce((sum, k) => sum + k.bytes, 0)).toBe(4225);
    const torn = file('torn', Buffer.alloc(12), step, block.subarray(0, 3));
    expect(JSON.parse(await run('stat', torn, '--json'))).toMatchObject({
      position: 17,
      tornBytes: 3,
      ended: false,
    });
    expect(await run('stat', torn)).toContain('torn tail of 3 bytes');
    const early = file('early', Buffer.alloc(12), step, marker.subarray(0, 300));
    expect(await run('stat', early)).toContain('a marker, 3910 bytes of it missing');
    expect(await run('dump', torn)).toContain('17  torn tail of 3 bytes');
  });

  it('reads a stripped log by its raw positions', async () => {
    // Goal: a spool file and QEMU's file are dumped alike.
    const tail = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 1 });
    const { bytes } = tail.push(Buffer.concat([step, block, marker, end]))!;
    const stripped = file('stripped', encodeHeader(layout), bytes);
    expect(await run('dump', stripped, '--stripped')).toBe(await run('dump', log));
  });

  it('says in one sentence what is wrong with a file', async () => {
    // Goal: missing, empty, foreign and damaged files are operating errors, not stack traces.
    const damaged = file('damaged', encodeHeader(layout), step, Buffer.of(0xff));
    const cases: [string, RegExp][] = [
      [join(folder, 'missing'), /cannot open the event log/],
      [folder, /cannot read the event log/],
      [file('empty'), /is no event log: it has 0 bytes/],
      [file('text', Buffer.from('#!/bin/sh\necho hello\n')), /version word 0x23212f62/],
      [damaged, /unknown event kind 255 at position 17/],
    ];
    for (const [path, message] of cases) {
      for (const verb of ['dump', 'stat']) {
        await expect(run(verb, path)).rejects.toMatchObject({
          name: 'UnderstudyError',
          code: 'log-format',
          message: expect.stringMatching(message) as string,
        });
      }
    }
  });

  it('stops quietly when nobody reads on', () => {
    // Goal: `dump | head` ends without an error, with a log far larger than a pipe holds.
    const large = file('large', encodeHeader(layout), idleLog(layout, 20_000));
    const module = JSON.stringify(pathToFileURL(compiled('src/cli/log.ts')).href);
    const script = file(
      'main.mjs',
      Buffer.from(
        `const { logCommand } = await import(${module});\n` +
          `await logCommand().parseAsync(['node', 'log', 'dump', ${JSON.stringify(large)}]);\n`,
      ),
    );
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', '"$0" "$1" | head -n 2; echo $PIPESTATUS', process.execPath, script],
      { encoding: 'utf8', cwd: process.cwd() },
    );
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe('0');
  });
});
