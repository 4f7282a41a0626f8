// Two nodes must never share a run directory, and a dead node's must never stop the next one.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { processStartTime } from '../../src/host/pid-files.ts';
import { claimRunDir } from '../../src/node/run-dir.ts';
import { scratchDir } from './scratch.ts';

const base = scratchDir();
const owner = (dir: string) => path.join(dir, 'node.pid');

describe('a run directory', () => {
  it('is made for its owner only, cleared but for pid files, and removed at the end', () => {
    const dir = path.join(base, 'new', 'deep');
    const run = claimRunDir(dir);
    expect(fs.statSync(dir).mode & 0o777).toBe(0o700);
    expect(fs.statSync(owner(dir)).mode & 0o777).toBe(0o600);
    expect(run.control).toBe(path.join(dir, 'control'));
    fs.mkdirSync(path.join(dir, 'm1'));
    fs.mkdirSync(run.pids);
    fs.writeFileSync(run.control, '');
    run.clear();
    expect(fs.readdirSync(dir).sort()).toEqual(['node.pid', 'pids']);
    run.remove();
    expect(fs.existsSync(dir)).toBe(false);
  });

  it('living node has it: refused, and the process is named', () => {
    const dir = path.join(base, 'used');
    claimRunDir(dir);
    expect(() => claimRunDir(dir)).toThrow(`used by node process ${process.pid}`);
  });

  it('its node was killed: taken over', async () => {
    const dir = path.join(base, 'stale');
    fs.mkdirSync(dir);
    const dead = spawn('sleep', ['60']);
    const ended = new Promise((resolve) => dead.once('exit', resolve));
    fs.writeFileSync(owner(dir), `${dead.pid} ${processStartTime(dead.pid as number)}`);
    expect(() => claimRunDir(dir)).toThrow('used by node process');
    dead.kill('SIGKILL');
    await ended;
    claimRunDir(dir);
    expect(fs.readFileSync(owner(dir), 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+$`));
  });

  it('pid is another process by now: taken over', () => {
    const dir = path.join(base, 'reused');
    fs.mkdirSync(dir);
    fs.writeFileSync(owner(dir), `${process.pid} 1`);
    claimRunDir(dir);
  });

  it.each(['', '999999999', 'nonsense here'])('pid file is torn (%j): taken over', (text) => {
    const dir = fs.mkdtempSync(path.join(base, 'torn-'));
    fs.writeFileSync(owner(dir), text);
    claimRunDir(dir);
  });

  it('path is too long for a unix socket: says so before anything is made', () => {
    const dir = path.join(base, 'x'.repeat(70));
    expect(() => claimRunDir(dir)).toThrow(/too long for unix sockets: \d+ bytes, at most 66/);
    expect(fs.existsSync(dir)).toBe(false);
  });

  it('directory cannot be made: says what to change', () => {
    const file = path.join(base, 'file');
    fs.writeFileSync(file, '');
    expect(() => claimRunDir(path.join(file, 'x'))).toThrow('Cannot create run directory');
  });

  it('directory has other files in it: refused, and not touched', () => {
    const dir = path.join(base, 'foreign');
    fs.mkdirSync(dir, { mode: 0o755 });
    fs.writeFileSync(path.join(dir, 'letter'), 'dear');
    const before = fs.statSync(dir);
    expect(() => claimRunDir(dir)).toThrow('there are other files in it (letter)');
    const { mode, ctimeMs } = fs.statSync(dir);
    expect({ mode, ctimeMs }).toEqual({ mode: before.mode, ctimeMs: before.ctimeMs });
    expect(fs.readdirSync(dir)).toEqual(['letter']);
  });

  it('system directory: refused, and not touched', () => {
    const before = fs.statSync('/run');
    expect(() => claimRunDir('/run')).toThrow(/Run directory|run directory/);
    expect(fs.statSync('/run').mode).toBe(before.mode);
  });

  it('was there before the node: is empty at the end, with the rights that it had', () => {
    const dir = path.join(base, 'mine');
    fs.mkdirSync(dir, { mode: 0o750 });
    const run = claimRunDir(dir);
    expect(fs.statSync(dir).mode & 0o777).toBe(0o700);
    fs.writeFileSync(run.control, '');
    run.remove();
    expect(fs.statSync(dir).mode & 0o777).toBe(0o750);
    expect(fs.readdirSync(dir)).toEqual([]);
  });
});
