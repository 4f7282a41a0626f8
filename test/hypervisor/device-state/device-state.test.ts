/** Device-state files that no test machine makes: other versions, damage, and data that lies. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareDeviceStates,
  describeDifferences,
  judgementBytes,
  judgementOf,
  newestReplaySection,
  parseDeviceState,
  replaySection,
  timerSection,
  withJudgement,
} from '../../../src/hypervisor/device-state/device-state.ts';

interface Made {
  readonly name: string;
  readonly data: Buffer;
  readonly instance?: number;
  readonly version?: number;
  readonly id?: number;
}

/** A file as QEMU writes it. */
function makeFile(sections: readonly Made[]): Buffer {
  const parts = sections.map(({ name, data, instance = 0, version = 1, id }, index) => {
    const header = Buffer.alloc(6);
    header[0] = 4;
    header.writeUInt32BE(id ?? index, 1);
    header[5] = name.length;
    const numbers = Buffer.alloc(8);
    numbers.writeUInt32BE(instance, 0);
    numbers.writeUInt32BE(version, 4);
    const footer = Buffer.alloc(5, 0x7e);
    footer.writeUInt32BE(id ?? index, 1);
    return Buffer.concat([header, Buffer.from(name, 'latin1'), numbers, data, footer]);
  });
  return Buffer.concat([Buffer.from('5145564d00000003', 'hex'), ...parts, Buffer.from([0])]);
}

/** A "replay" section with numbers that are all different. */
function replayData(release: '7.2' | '8' | '10.0'): Buffer {
  const i64 = (value: bigint): Buffer => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64BE(value);
    return buffer;
  };
  const u32 = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32BE(value);
    return buffer;
  };
  return Buffer.concat([
    i64(11n),
    i64(-12n),
    i64(13n),
    u32(14),
    ...(release === '10.0' ? [u32(99)] : []),
    u32(39),
    release === '7.2' ? u32(1) : Buffer.from([1]),
    i64(15n),
    i64(16n),
    i64(-1n),
  ]);
}

const same = {
  clocks: [11n, -12n],
  icount: 13,
  instructionCount: 14,
  dataKind: 39,
  hasUnread: true,
  fileOffset: 15,
  blockRequestId: 16,
  readEventId: -1,
};

describe('the replay section', () => {
  it.each([
    ['7.2', 2, same],
    ['8', 3, same],
    ['10.0', 3, { ...same, currentEvent: 99 }],
  ] as const)('of QEMU %s is read field by field', (release, version, expected) => {
    // Goal: each layout, with every number different, lands in the right names.
    const file = makeFile([{ name: 'replay', version, data: replayData(release) }]);
    expect(replaySection(parseDeviceState(file))).toEqual(expected);
  });

  it('of a replayer that reads a FIFO has no log position', () => {
    // Goal: what ftell says of a FIFO is accepted, and is no position.
    const data = replayData('7.2');
    data.writeBigInt64BE(-1n, 36);
    const state = parseDeviceState(makeFile([{ name: 'replay', version: 2, data }]));
    expect(replaySection(state)).toEqual({ ...same, fileOffset: -1 });
  });

  it.each([
    ['7.2', 2, 0],
    ['8', 3, 0],
    ['10.0', 3, 99],
  ] as const)('of QEMU %s is rewritten as 10.0 has it', (release, version, currentEvent) => {
    // Goal: a newer QEMU reads the same numbers, and nothing else of the file has changed.
    const others = (name: string) => ({ name, data: Buffer.from(`of ${name}`) });
    const made = (data: Buffer, of: number) =>
      makeFile([others('timer'), { name: 'replay', version: of, data }, others('cpu')]);
    const expected = replayData('10.0');
    expected.writeUInt32BE(currentEvent, 28);
    const rewritten = newestReplaySection(made(replayData(release), version));
    expect(rewritten).toEqual(made(expected, 3));
  });

  it.each([
    ['an unknown version', 4, replayData('10.0'), /version 4, known are 2 and 3/],
    ['a size that does not fit', 2, replayData('10.0'), /has 61 bytes, expected 60/],
    ['a negative icount', 2, withIcount(-5n), /out of range: -5/],
    ['an icount past 2^53', 2, withIcount(2n ** 60n), /out of range: 1152921504606846976/],
  ])('is refused with %s', (_, version, data, message) => {
    // Goal: no number is guessed.
    const state = parseDeviceState(makeFile([{ name: 'replay', version, data }]));
    expect(() => replaySection(state)).toThrow(message);
    expect(() => replaySection(state)).toThrow(expect.objectContaining({ code: 'state-format' }));
  });
});

function withIcount(icount: bigint): Buffer {
  const data = replayData('7.2');
  data.writeBigInt64BE(icount, 16);
  return data;
}

describe('a file', () => {
  it('is divided into what it was made of, whatever is in it', () => {
    // Goal: for any data, with footers and headers strewn in, a valid file is read, and its bytes
    // are all accounted for. Where data looks like sections, the names may differ, never the sum.
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('7e00000000', '7e00000001', '0400000002', '7e0000000204', '00'),
    );
    const data = fc
      .array(piece, { maxLength: 6 })
      .map((pieces) =>
        Buffer.concat(pieces.map((p) => (typeof p === 'string' ? Buffer.from(p, 'hex') : p))),
      );
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z0-9:./-]{1,20}$/), { minLength: 1 });
    fc.assert(
      fc.property(names, fc.array(data, { minLength: 1, maxLength: 8 }), (unique, datas) => {
        const made = unique.map((name, i) => ({ name, data: datas[i % datas.length]! }));
        const { sections } = parseDeviceState(makeFile(made));
        expect(sections.map(({ name }) => name)).toEqual(made.map(({ name }) => name));
        expect(sections.map(({ from, to }) => to - from)).toEqual(made.map((m) => m.data.length));
      }),
    );
  });

  it('is not misread when data looks like the end of its own section', () => {
    // Goal: a footer and a header in the data of a device, as a guest could place them there, are
    // taken back when the rest of the file does not follow.
    const lie = makeFile([{ name: 'virtio-console', data: Buffer.alloc(3), id: 1 }]).subarray(
      8,
      -6,
    );
    const data = Buffer.concat([
      Buffer.from('7e00000001', 'hex'),
      lie.fill(1, 1, 5),
      Buffer.alloc(9),
    ]);
    const made = [
      { name: 'timer', data: Buffer.alloc(24) },
      { name: 'virtio-net', data },
      { name: 'globalstate', data: Buffer.alloc(104) },
    ];
    const { sections } = parseDeviceState(makeFile(made));
    expect(sections.map(({ name }) => name)).toEqual(['timer', 'virtio-net', 'globalstate']);
  });

  it('cannot smuggle in a second section of a known name', () => {
    // Goal: a guest that writes the halves of a forged "replay" section into two devices, so that
    // the file still divides as a whole, does not get it read.
    const footer = (id: number): Buffer => Buffer.from([0x7e, 0, 0, 0, id]);
    const header = (id: number, name: string): Buffer =>
      makeFile([{ name, data: Buffer.alloc(0), id }]).subarray(8, -6);
    const made = [
      { name: 'replay', version: 2, data: replayData('7.2') },
      {
        name: 'virtio-net',
        data: Buffer.concat([footer(1), header(50, 'replay'), Buffer.alloc(9)]),
      },
      { name: 'virtio-blk', data: Buffer.concat([footer(50), header(2, 'x'), Buffer.alloc(9)]) },
    ];
    const state = parseDeviceState(makeFile(made));
    expect(state.sections.map(({ name }) => name)).toEqual(['replay', 'virtio-net', 'virtio-blk']);
    expect(replaySection(state).icount).toBe(13);
  });

  it('full of footers is read or refused quickly', () => {
    // Goal: no input makes the search run away.
    const trap = Buffer.from('7e00000000040000000001410000000000000001', 'hex');
    const file = makeFile([{ name: 'a', data: Buffer.concat(Array(5000).fill(trap)) }]);
    const began = process.cpuUsage();
    try {
      parseDeviceState(file);
    } catch (error) {
      expect(error).toMatchObject({ code: 'state-format' });
    }
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(5000);
  });

  it('that is cut short anywhere is refused, with the position', () => {
    // Goal: a state that was not written to its end is never loaded.
    const file = makeFile([
      { name: 'timer', data: Buffer.alloc(24) },
      { name: 'replay', version: 2, data: replayData('7.2') },
    ]);
    for (let length = 0; length < file.length; length += 1) {
      expect(() => parseDeviceState(file.subarray(0, length)), `${length} bytes`).toThrow(
        /^Cannot read device state: at byte \d+: /,
      );
    }
  });

  it.each([
    ['another magic', '514556ff00000003', /at byte 0: it does not begin with "QEVM"/],
    ['another version', '5145564d00000002', /at byte 4: version 2, expected 3/],
    ['no section', '5145564d0000000300', /at byte 8: no section begins here/],
  ])('with %s is refused', (_, hex, message) => {
    // Goal: what is no device state is named as such, at the place that shows it.
    const bytes = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(4)]);
    expect(() => parseDeviceState(bytes)).toThrow(message);
  });

  it('with bytes after its end is refused', () => {
    // Goal: nothing is ignored that might mean something.
    const file = makeFile([{ name: 'timer', data: Buffer.alloc(24) }]);
    expect(() => parseDeviceState(Buffer.concat([file, Buffer.from('more')]))).toThrow(
      /section 'timer' \(id 0\) does not end/,
    );
  });
});

describe('comparing', () => {
  const state = (...sections: Made[]) => parseDeviceState(makeFile(sections));

  it.each([
    ['both about to wake, one of them just did', [1, 2], [0, 2], true],
    ['one is to look at the APIC, the other did', [1, 0x10], [0, 0x02], true],
    ['so, and something else is pending on one side', [1, 0x14], [0, 0x02], false],
    ['one sleeps, the other runs', [1, 0], [0, 0], false],
    ['another interrupt is pending', [1, 2], [0, 4], false],
    ['an interrupt is pending on one side only', [1, 2], [0, 0], false],
    ['neither asleep nor awake', [0x4000_0000, 2], [0, 2], false],
  ])('a vCPU: %s', (_, a, b, equal) => {
    // Goal: a stop on either side of a wake-up is no divergence, and nothing else passes for it.
    const cpu = (words: readonly number[]): Made => {
      const data = Buffer.alloc(8);
      for (const [index, word] of words.entries()) data.writeUInt32BE(word, index * 4);
      return { name: 'cpu_common', data };
    };
    expect(compareDeviceStates(state(cpu(a)), state(cpu(b))).length === 0).toBe(equal);
  });

  it.each([
    ['the same bytes, begun elsewhere', 'recv', [3, 'key'], [14, 'key'], true],
    ['around the end of the ring', 'xmit', [15, 'key'], [0, 'key'], true],
    ['another byte', 'recv', [3, 'key'], [3, 'kex'], false],
    ['a byte more', 'recv', [3, 'key'], [3, 'keys'], false],
  ] as const)('a serial FIFO: %s', (_, which, a, b, equal) => {
    // Goal: where a ring begins is no divergence, and what is in it always counts.
    const port = ([head, text]: readonly [number, string]): Made => {
      const ring = Buffer.alloc(16, head); // stale bytes, other ones on each side
      for (const [at, byte] of Buffer.from(text).entries()) ring[(head + at) % 16] = byte;
      const counts = Buffer.alloc(8);
      counts.writeUInt32BE(head, 0);
      counts.writeUInt32BE(text.length, 4);
      const name = Buffer.from(`\x05\x10serial/${which}_fifo\0\0\0\x01`, 'latin1');
      return { name: 'serial', data: Buffer.concat([Buffer.alloc(12), name, ring, counts]) };
    };
    expect(compareDeviceStates(state(port(a)), state(port(b))).length === 0).toBe(equal);
  });

  it('names a section that only one side has, or has in another version', () => {
    // Goal: machines that are not alike are told apart from machines that diverged.
    const cpu = { name: 'cpu', data: Buffer.from('same') };
    const a = state(cpu, { name: 'dma', instance: 1, data: Buffer.alloc(1) });
    const b = state({ ...cpu, version: 2 }, { name: 'hpet', data: Buffer.alloc(1) });
    expect(describeDifferences(compareDeviceStates(a, b)).split('\n')).toEqual([
      'cpu: layout version 1 and 2',
      'dma#1: only the first has this section',
      'hpet: only the second has this section',
    ]);
  });

  it('shows runs of bytes with their offset, from both sides', () => {
    // Goal: the report is precise enough to find the field in QEMU's source.
    const a = state({ name: 'rtc', data: Buffer.from('00112233445566778899', 'hex') });
    const b = state({ name: 'rtc', data: Buffer.from('00ff22ee445566778898', 'hex') });
    expect(describeDifferences(compareDeviceStates(a, b))).toBe(
      'rtc at byte 1: 112233 and ff22ee\nrtc at byte 9: 99 and 98',
    );
  });

  it('sees that one side is longer', () => {
    // Goal: a common beginning is not equality.
    const a = state({ name: 'rtc', data: Buffer.from('0011', 'hex') });
    const b = state({ name: 'rtc', data: Buffer.from('001122', 'hex') });
    expect(describeDifferences(compareDeviceStates(a, b))).toBe('rtc at byte 2: (nothing) and 22');
  });

  it('overlooks only the words of the host', () => {
    // Goal: the mask is exactly bytes 0-7 and 16-23 of "timer", and all of "replay".
    const base = Buffer.alloc(40);
    const seen = Array.from({ length: 40 }, (_, at) => {
      const data = Buffer.from(base);
      data[at] = 1;
      const found = compareDeviceStates(
        state(
          { name: 'timer', data: base },
          { name: 'replay', version: 2, data: replayData('7.2') },
        ),
        state({ name: 'timer', data }, { name: 'replay', version: 2, data: withIcount(5n) }),
      );
      return found.length;
    });
    expect(seen.map((count, at) => (count === 0 ? at : -1)).filter((at) => at >= 0)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23,
    ]);
  });

  it('of wholly different states stays short', () => {
    // Goal: the report of a broken backup does not fill a log.
    const noise = (value: number): Buffer =>
      Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i % 8 === 0 ? value : 0)));
    const a = state({ name: 'a', data: noise(1) });
    const differences = compareDeviceStates(a, state({ name: 'a', data: noise(2) }));
    expect(differences).toHaveLength(1000);
    expect(describeDifferences(differences).split('\n')).toHaveLength(21);
  });
});

describe('the judgement of the clock', () => {
  const i64 = (value: number): Buffer => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64BE(BigInt(value));
    return buffer;
  };
  const subsection = (name: string, ...fields: Buffer[]): Buffer =>
    Buffer.concat([Buffer.of(5, name.length), Buffer.from(name), Buffer.alloc(4), ...fields]);
  /** A "timer" section in which each word is told by its place: `from`, `from + 1`, ... */
  const timers = (
    from: number,
    shift = [subsection('timer/icount/shift', i64(from + 7), Buffer.of(from, 0))],
  ): Made => ({
    name: 'timer',
    data: Buffer.concat([
      ...[i64(from), Buffer.alloc(8), i64(from + 2)],
      subsection('timer/icount', i64(from + 3), i64(from + 4)),
      subsection('timer/icount/timers', i64(from + 5), i64(from + 6)),
      ...shift,
    ]),
  });
  const state = (made: Made) => parseDeviceState(makeFile([made]));

  it('is taken from the other state, and nothing else', () => {
    const [theirs, own] = [state(timers(10)), state(timers(50))];
    const judgement = judgementOf(theirs)!;
    const mended = parseDeviceState(withJudgement(own, judgement)!);
    expect(judgement).toHaveLength(2 * judgementBytes);
    expect(judgementOf(mended)).toBe(judgement);
    expect(withJudgement(mended, judgement)).toBeUndefined();
    const at = timerSection(mended)!;
    const read = (from: number) => Number(mended.bytes.readBigInt64BE(from));
    expect([read(at.icountAt!), read(at.timersAt!), read(at.shiftAt!)]).toEqual([13, 15, 17]);
    expect([read(at.clockAt), read(at.icountAt! + 8), read(at.timersAt! + 8)]).toEqual([
      52, 54, 56,
    ]);
    expect(own.bytes.equals(makeFile([timers(50)]))).toBe(true);
    expect(compareDeviceStates(theirs, mended).length).toBeGreaterThan(0);
  });

  it('of another length is none', () => {
    const own = state(timers(50));
    for (const bytes of [0, judgementBytes - 1, judgementBytes + 1]) {
      expect(() => withJudgement(own, 'ab'.repeat(bytes))).toThrow(`has 26 bytes, not ${bytes}`);
    }
  });

  it('is not there with a fixed shift', () => {
    const judgement = judgementOf(state(timers(10)))!;
    expect(judgementOf(state(timers(50, [])))).toBeUndefined();
    expect(withJudgement(state(timers(50, [])), judgement)).toBeUndefined();
    expect(timerSection(state({ name: 'replay', data: replayData('7.2') }))).toBeUndefined();
  });
});
