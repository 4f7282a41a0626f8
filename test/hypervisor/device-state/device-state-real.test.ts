/** Device states of real QEMU processes: what they look like, and that lockstep shows in them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compareDeviceStates,
  type DeviceState,
  describeDeviceState,
  describeDifferences,
  parseDeviceState,
  replaySection,
} from '../../../src/hypervisor/device-state/device-state.ts';
import {
  firmwareMachine,
  makeRunDir,
  removeRunDir,
  saveDeviceState,
  startQemu,
  stopQemu,
} from '../real-qemu.ts';

/** Kind of the event END, and the first word of a log, in QEMU 7.2. */
const end = 39;
const versionWord = 0x00e0200c;

describe('a machine that was recorded and replayed', () => {
  let runDir: string;
  let recorded: DeviceState;
  let replayed: DeviceState;

  beforeAll(async () => {
    runDir = makeRunDir();
    recorded = await record(runDir);
    replayed = await replay(runDir, recorded);
  });
  afterAll(() => removeRunDir(runDir));

  it('has sections that can be told apart, from "timer" to "globalstate"', () => {
    // Goal: a real file divides as a whole, in QEMU's order, without a byte left over.
    const names = recorded.sections.map(({ name, instance }) => `${name}#${instance}`);
    expect(names[0]).toBe('timer#0');
    expect(names[1]).toBe('replay#0');
    expect(names).toEqual(expect.arrayContaining(['cpu#0', 'dma#0', 'dma#1', 'i8259#1']));
    expect(names.at(-1)).toBe('globalstate#0');
    const headersAndFooters = recorded.sections.reduce((sum, s) => sum + 19 + s.name.length, 0);
    const data = recorded.sections.reduce((sum, s) => sum + s.to - s.from, 0);
    expect(8 + headersAndFooters + data + 1).toBe(recorded.bytes.length);
  });

  it('says where in the log it was saved', () => {
    // Goal: the log position of the cut is the one that the log file really has.
    const section = replaySection(recorded);
    expect(section.icount).toBeGreaterThan(100_000);
    expect(section.fileOffset).toBeGreaterThan(12);
    expect(section.fileOffset).toBeLessThanOrEqual(readFileSync(`${runDir}/log`).length);
    expect(section.blockRequestId).toBe(0);
  });

  it('stands at the same instruction with END unread after the replay', () => {
    // Goal: the fields that prove a complete takeover (R8) are read from the right places.
    const section = replaySection(replayed);
    expect(section.icount).toBe(replaySection(recorded).icount);
    expect(section.hasUnread).toBe(true);
    expect(section.dataKind).toBe(end);
  });

  it('has equal device states outside of the words that belong to the host', () => {
    // Goal: no false alarm on a real pair in lockstep, and the mask is no wider than needed.
    expect(describeDifferences(compareDeviceStates(recorded, replayed))).toBe('');
    expect(recorded.bytes.equals(replayed.bytes)).toBe(false);
    const timer = recorded.sections[0]!;
    const [a, b] = [recorded, replayed].map((s) => s.bytes.subarray(timer.from, timer.to));
    expect(a!.subarray(0, 8).equals(b!.subarray(0, 8)), 'cpu_ticks_offset').toBe(false);
    expect(a!.subarray(16, 24).equals(b!.subarray(16, 24)), 'cpu_clock_offset').toBe(false);
  });

  it('shows every single changed byte of the guest', () => {
    // Goal: whatever byte differs, except those of the host, is found and named.
    const missed: string[] = [];
    for (const section of recorded.sections) {
      if (section.name === 'replay') continue;
      for (const at of [section.from, (section.from + section.to) >> 1, section.to - 1]) {
        const hostWord = at - section.from < 8 || at - section.from === 16;
        if (section.name === 'timer' && hostWord) continue;
        const bytes = Buffer.from(recorded.bytes);
        bytes[at]! ^= 0x40;
        const found = compareDeviceStates(recorded, { ...recorded, bytes });
        const exact = found[0]?.section === section.name && found[0].offset === at - section.from;
        if (found.length !== 1 || !exact) missed.push(`${section.name} at ${at - section.from}`);
      }
    }
    expect(missed).toEqual([]);
  });

  it('describes itself', () => {
    // Goal: a person finds section, size and log position.
    const text = describeDeviceState(recorded);
    expect(text).toMatch(/^ +27 +178 +0 +v2 +timer$/m);
    expect(text).toContain('dma#1');
    expect(text).toContain(`icount ${replaySection(recorded).icount}`);
  });
});

it('a machine that is neither recorded nor replayed has no replay section', async () => {
  // Goal: a state saved without record/replay is refused by name, not misread.
  const runDir = makeRunDir();
  const qemu = await startQemu(runDir, 'plain', ['-machine', 'pc', '-m', '32', '-S']);
  try {
    const state = parseDeviceState(await saveDeviceState(qemu, `${runDir}/state`));
    expect(() => replaySection(state)).toThrow(/no section "replay"/);
    expect(describeDeviceState(state)).toContain('neither recorded nor replayed');
  } finally {
    await stopQemu(qemu);
    removeRunDir(runDir);
  }
});

/** Lets the firmware run for a moment, saves it, and ends QEMU so that it writes all its log. */
async function record(runDir: string): Promise<DeviceState> {
  const qemu = await startQemu(runDir, 'recorder', firmwareMachine('record', `${runDir}/log`));
  try {
    await sleep(1000);
    await qemu.monitor.execute('stop');
    const state = await saveDeviceState(qemu, `${runDir}/recorded`);
    await qemu.monitor.execute('quit');
    await qemu.child.exited;
    return parseDeviceState(state);
  } finally {
    await stopQemu(qemu);
  }
}

/** Executes the log up to the cut and not further, then saves that machine. */
async function replay(runDir: string, recorded: DeviceState): Promise<DeviceState> {
  const { fileOffset, icount } = replaySection(recorded);
  const log = Buffer.alloc(fileOffset + 1, readFileSync(`${runDir}/log`).subarray(0, fileOffset));
  log.writeUInt32BE(versionWord, 0);
  log[fileOffset] = end;
  writeFileSync(`${runDir}/cut-log`, log);
  const qemu = await startQemu(runDir, 'replayer', firmwareMachine('replay', `${runDir}/cut-log`));
  try {
    let steady = 0;
    while (steady < 5) {
      const now = await qemu.monitor.execute<{ icount: number }>('query-replay');
      steady = now.icount === icount ? steady + 1 : 0;
      await sleep(20);
    }
    await qemu.monitor.execute('stop');
    return parseDeviceState(await saveDeviceState(qemu, `${runDir}/replayed`));
  } finally {
    await stopQemu(qemu);
  }
}
