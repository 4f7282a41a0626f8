// Goal: a snapshot's memory and registers can be read by other people's tools, and they are the
// right ones.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cpuRegisters } from '../../../src/hypervisor/device-state/cpu-registers.ts';
import { parseDeviceState } from '../../../src/hypervisor/device-state/device-state.ts';
import { physicalMemory } from '../../../src/hypervisor/memory/memory-dump.ts';
import { openStore } from '../../../src/store/store.ts';
import { runHere } from '../../cli/run.ts';
import { chunkBytes, facts } from '../../store/snapshots.ts';
import { makeRunDir, removeRunDir, saveDeviceState, startQemu, stopQemu } from '../real-qemu.ts';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const ramBytes = 32 * MiB;

let runDir: string;
let deviceState: Buffer;
let ram: Buffer;
/** `info registers`, as QEMU prints it. */
let printed: string;

beforeAll(async () => {
  runDir = makeRunDir();
  const ramFile = path.join(runDir, 'ram');
  const qemu = await startQemu(runDir, 'firmware', [
    ...['-machine', 'pc,memory-backend=ram', '-m', '32M'],
    ...['-object', `memory-backend-file,id=ram,size=32M,share=on,mem-path=${ramFile}`],
  ]);
  try {
    // The firmware has filled a part of the memory when it says that there is nothing to boot.
    for (let looks = 0; looks < 100 && !fs.readFileSync(ramFile).includes('SeaBIOS'); looks += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await qemu.monitor.execute('stop');
    const answer = await qemu.monitor.execute('human-monitor-command', {
      'command-line': 'info registers',
    });
    printed = String(answer);
    deviceState = await saveDeviceState(qemu, path.join(runDir, 'state'));
    ram = fs.readFileSync(ramFile);
  } finally {
    await stopQemu(qemu);
  }
});
afterAll(() => removeRunDir(runDir));

it('reads the registers that QEMU tells', () => {
  const { general, segments, cr0, cr3, cr4 } = cpuRegisters(parseDeviceState(deviceState));
  const hex = (name: string) =>
    BigInt(`0x${new RegExp(`\\b${name} *= *([0-9a-f]+)`).exec(printed)?.[1]}`);
  for (const name of ['AX', 'BX', 'CX', 'DX', 'SI', 'DI', 'BP', 'SP', 'IP'] as const) {
    const found = general[`r${name.toLowerCase()}` as 'rax'] & 0xffff_ffffn;
    expect([name, found]).toEqual([name, hex(`[ER]${name}`)]);
  }
  expect(general.rflags).toBe(hex('(?:EFL|RFL)'));
  expect(BigInt(segments.cs.selector)).toBe(hex('CS'));
  expect(BigInt(segments.ss.selector)).toBe(hex('SS'));
  expect(segments.gdt.base).toBe(hex('GDT'));
  expect(segments.idt.base).toBe(hex('IDT'));
  expect([cr0, cr3, cr4]).toEqual([hex('CR0'), hex('CR3'), hex('CR4')]);
  expect(general.rip).not.toBe(0n);
});

it('refuses a device state without a known vCPU', () => {
  const state = parseDeviceState(deviceState);
  const sections = state.sections.map((s) => (s.name === 'cpu' ? { ...s, version: 99 } : s));
  expect(() => cpuRegisters({ ...state, sections })).toThrow(/section "cpu" has version 99/);
  expect(() => cpuRegisters({ ...state, sections: [] })).toThrow(/no section "cpu"/);
});

it('writes a core file that readelf and gdb understand', async () => {
  const store = await openStore({ directory: path.join(runDir, 'store') });
  const writer = await store.begin(facts({ images: [{ name: 'ram', bytes: ramBytes }] }));
  for (let at = 0; at < ramBytes; at += 64 * chunkBytes) {
    await writer.put('ram', at, ram.subarray(at, at + 64 * chunkBytes));
  }
  await writer.deviceState(deviceState);
  const { id } = await writer.commit();
  await store.close();
  const core = path.join(runDir, 'core');
  const dumping = ['snapshot', 'dump', id, core, '--store', path.join(runDir, 'store')];
  expect(await runHere(dumping)).toEqual({
    code: 0,
    stderr: '',
    stdout: `${id} is written to '${core}'\n`,
  });
  const again = await runHere(dumping);
  expect([again.code, again.stdout]).toEqual([3, '']);
  expect(again.stderr).toContain(`Cannot write memory dump '${core}'`);
  expect(again.stderr).toContain('try: name a file that does not exist');
  const devices = await runHere([...dumping.toSpliced(1, 3, 'show', id), '--devices']);
  expect([devices.code, devices.stderr]).toEqual([0, '']);
  expect(devices.stdout).toMatch(/ timer\n[\s\S]*neither recorded nor replayed/);

  const dump = fs.readFileSync(core);
  expect(dump.subarray(4096, 4096 + 0xa0000).equals(ram.subarray(0, 0xa0000))).toBe(true);
  expect(dump.subarray(4096 + 0xa0000).equals(ram.subarray(0xc0000))).toBe(true);
  if (spawnSync('readelf', ['--version']).status === 0) {
    const text = execFileSync('readelf', ['-lnW', core], { encoding: 'utf8' });
    expect(text).toMatch(/LOAD +0x001000 0x0{16} 0x0{16} 0x0a0000 0x0a0000/);
    expect(text).toMatch(/LOAD +0x0a1000 0x0{16} 0x00000000000c0000 0x1f40000 0x1f40000/);
    expect(text).toMatch(/CORE +0x00000150\s+NT_PRSTATUS/);
    expect(text).not.toMatch(/warning|error/i);
  }
  if (spawnSync('gdb', ['--version']).status === 0) {
    const { general } = cpuRegisters(parseDeviceState(deviceState));
    const said = execFileSync(
      'gdb',
      ['-batch', '-nx', '-ex', `target core ${core}`, '-ex', 'printf "rip %lx\\n", $rip'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(said).toContain(`rip ${general.rip.toString(16)}`);
  }
});

it('knows where the machine has its memory', () => {
  expect(physicalMemory(3 * GiB).at(-1)).toEqual({
    physical: 768 * 1024,
    imageOffset: 768 * 1024,
    bytes: 3 * GiB - 768 * 1024,
  });
  expect(physicalMemory(3.5 * GiB).slice(1)).toEqual([
    { physical: 768 * 1024, imageOffset: 768 * 1024, bytes: 3 * GiB - 768 * 1024 },
    { physical: 4 * GiB, imageOffset: 3 * GiB, bytes: 0.5 * GiB },
  ]);
});
