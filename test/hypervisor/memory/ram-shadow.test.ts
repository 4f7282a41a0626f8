// A shadow says exactly what changed, and looking costs the machine neither memory nor time.
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Change, RamShadow } from '../../../src/hypervisor/memory/ram-shadow.ts';

const kib = 1024;
const block = 64 * kib;
const page = 4 * kib;
const bytes = 8 * block;

describe('a shadow of RAM', () => {
  let dir: string;
  let ram: string;
  let shadow: RamShadow;

  beforeEach(() => {
    dir = fs.mkdtempSync('/dev/shm/us-shadow-'); // where RAM is: a file system with holes
    ram = `${dir}/ram`;
    fs.writeFileSync(ram, '');
    fs.truncateSync(ram, bytes);
    shadow = new RamShadow(ram, `${dir}/shadow`, block);
  });
  afterEach(() => {
    shadow.close();
    expect(fs.existsSync(`${dir}/shadow`)).toBe(false);
    fs.rmSync(dir, { recursive: true });
  });

  function write(offset: number, content: Buffer): void {
    const fd = fs.openSync(ram, 'r+');
    fs.writeSync(fd, content, 0, content.length, offset);
    fs.closeSync(fd);
  }

  function pass(): Change[] {
    const changes = [...shadow.candidates()].flatMap((number) => shadow.update(number));
    expect(shadow.read(0, bytes).equals(fs.readFileSync(ram))).toBe(true);
    return changes;
  }

  it('finds a new block whole, and later changes by the page', () => {
    write(3 * block + 5, Buffer.from('a'));
    expect(pass()).toEqual([{ offset: 3 * block, bytes: block, isZero: false }]);
    expect(pass()).toEqual([]);
    write(3 * block + 2 * page - 1, Buffer.from('bc')); // in two pages
    write(3 * block + 9 * page, Buffer.from('d'));
    expect(pass()).toEqual([
      { offset: 3 * block + page, bytes: 2 * page, isZero: false },
      { offset: 3 * block + 9 * page, bytes: page, isZero: false },
    ]);
  });

  it('tells zeros from what was never there', () => {
    write(0, Buffer.alloc(block)); // zeros with memory
    expect(pass()).toEqual([]);
    expect(shadow.isEmpty(0)).toBe(true);
    write(0, Buffer.alloc(block, 'a'));
    pass();
    write(page, Buffer.alloc(2 * page));
    write(3 * page, Buffer.from('b'));
    expect(pass()).toEqual([
      { offset: page, bytes: 2 * page, isZero: true },
      { offset: 3 * page, bytes: page, isZero: false },
    ]);
  });

  it('a block that became a hole is zero', () => {
    write(block, Buffer.alloc(block, 'a'));
    pass();
    fs.truncateSync(ram, block);
    fs.truncateSync(ram, bytes);
    expect(pass()).toEqual([{ offset: block, bytes: block, isZero: true }]);
  });

  it('takes no memory for holes, neither of RAM nor of its own', () => {
    for (const number of [0, 2, 7]) write(number * block + 7 * page, Buffer.alloc(page, 'a'));
    const before = fs.statSync(ram).blocks;
    for (let passes = 0; passes < 3; passes += 1) {
      for (const number of shadow.candidates()) shadow.update(number);
    }
    expect(fs.statSync(ram).blocks).toBe(before);
    expect(fs.statSync(`${dir}/shadow`).blocks * 512).toBe(3 * block);
  });
});
