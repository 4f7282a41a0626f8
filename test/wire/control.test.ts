/** Control messages: msgpack and schemas, and what strangers may send in their place. */
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { packControl, speakerOf, unpackControl, type WireControl } from '../../src/wire/control.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { unpack } from '../../src/wire/msgpack.ts';
import { anyControl } from './arbitraries.ts';

const packr = new Packr({ useRecords: false });

function refusalOf(read: () => unknown): string {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError && thrown.code === 'link') return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('control messages', () => {
  it('unpack to what was packed', () => {
    fc.assert(
      fc.property(anyControl, (control) => {
        expect(unpackControl(packControl(control))).toEqual(control);
      }),
      { numRuns: 1000 },
    );
  });

  it('hold a cut of 32 GiB of RAM within the limit of a frame', () => {
    const ram = Array.from({ length: wireLimits.ramDigestBlocks }, (_, i) => 0xffff_ffff - i);
    const cut = {
      type: 'cut',
      cutId: 'c',
      position: 1,
      icount: 2,
      deviceStateBytes: 3,
      digest: { ram },
    } as unknown as WireControl;
    const packed = packControl(cut);
    expect(packed.length).toBeLessThanOrEqual(wireLimits.controlPayloadBytes);
    expect(unpackControl(packed)).toEqual(cut);
  });

  it('are refused when unknown, incomplete, of wrong types or with fields too many', () => {
    const digest = { ram: [] };
    const cut = { type: 'cut', cutId: 'c', position: 1, icount: 2, deviceStateBytes: 3, digest };
    const cases: [unknown, string][] = [
      [{ type: 'selfDestruct' }, "Cannot read control message 'selfDestruct'"],
      [{ type: 'seedReady' }, "'seedReady': 'seedId'"],
      [{ type: 'seedReady', seedId: 7 }, "'seedReady': 'seedId'"],
      [{ type: 'grant', more: 1 }, "'grant'"],
      [{ type: 'powerOff', reason: '', position: -1 }, "'powerOff': 'position' must be a whole"],
      [{ type: 'powerOff', reason: '', position: 2 ** 53 }, "'powerOff': 'position'"],
      [{ type: 'heartbeat', sentAtMs: Number.NaN }, "'heartbeat': 'sentAtMs'"],
      [{ type: 'seedFailed', seedId: '1', reason: ['x'] }, "'seedFailed': 'reason'"],
      [{ ...cut, judgement: 'f'.repeat(50) }, "'cut': 'judgement' must be 52 hexadecimal digits"],
      [{ ...cut, judgement: 'F'.repeat(52) }, "'cut': 'judgement' must be 52 hexadecimal digits"],
      [{ ...cut, digest: { ...digest, deviceState: 'd' } }, "'cut': 'digest' Unrecognized key"],
      [{ type: 'credit', log: 1.5, bulk: 0 }, "'credit': 'log'"],
      [{}, 'control message without a type'],
      [[], 'control message without a type'],
      [null, 'control message without a type'],
      [7, 'control message without a type'],
    ];
    for (const [value, message] of cases) {
      expect(refusalOf(() => unpackControl(packr.pack(value)))).toContain(message);
    }
  });

  it('are cut, not refused, where words for people are too many', () => {
    const long = 'x'.repeat(5000);
    const failed = unpackControl(packControl({ type: 'seedFailed', seedId: '1', reason: long }));
    expect(failed).toEqual({
      type: 'seedFailed',
      seedId: '1',
      reason: long.slice(0, wireLimits.sentenceChars),
    });
    const differences = Array.from({ length: 1000 }, (_, i) => `block ${i}`);
    const result = { type: 'cutResult', cutId: 'c', equal: false, differences } as const;
    const cut = { ...result, differences: differences.slice(0, wireLimits.differences) };
    expect(unpackControl(packControl(result))).toEqual(cut);
  });

  it('are checked before they are sent, too', () => {
    const wrong = { type: 'seedFailed', seedId: '1', reason: 7 } as unknown as WireControl;
    expect(refusalOf(() => packControl(wrong))).toContain(
      "Cannot send control message 'seedFailed'",
    );
  });

  it('cannot ask for memory that they do not bring', () => {
    for (const bytes of ['dd01ffffff', 'df7fffffff', 'dbffffffff', 'dcffff', '81a161ddffffffff']) {
      const before = process.memoryUsage().rss;
      expect(refusalOf(() => unpack(Buffer.from(bytes, 'hex')))).toContain('more bytes');
      expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 * 1024);
    }
  });

  it('use no extension types, no binary, no keys but strings, and no deep nesting', () => {
    const cases: [string, string][] = [
      ['d4720040', 'type 0xd4 at byte 0 is not used here'],
      ['c403010203', 'type 0xc4'],
      ['c1', 'type 0xc1'],
      ['8101c0', 'the map key at byte 1 is not a string'],
      [`${'91'.repeat(100)}c0`, 'nested deeper than 8 levels'],
      ['c0c0', '1 bytes follow its end'],
      ['', 'byte 0 asks for 1 more bytes, only 0 are left'],
    ];
    for (const [bytes, message] of cases) {
      expect(refusalOf(() => unpack(Buffer.from(bytes, 'hex')))).toContain(message);
    }
  });

  it('do not reach the prototype of objects', () => {
    const evil = Buffer.concat([
      Buffer.from([0x81, 0xa9]),
      Buffer.from('__proto__'),
      packr.pack({ polluted: true }),
    ]);
    const value = unpack(evil) as Record<string, unknown>;
    expect(value.polluted).toBeUndefined();
    expect(refusalOf(() => unpackControl(evil))).toContain('without a type');
  });

  it('are refused with an UnderstudyError whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        refusalOf(() => unpackControl(bytes)); // throws on any other error
      }),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(anyControl, fc.nat(), fc.nat(255), (control, where, value) => {
        const packed = Buffer.from(packControl(control));
        packed[where % packed.length] = value;
        refusalOf(() => unpackControl(packed));
      }),
      { numRuns: 2000 },
    );
  });

  it('tell the protocol of a hello from another version, whatever else is in it', () => {
    const hello = { type: 'hello', protocol: 99, shoes: 'red', node: 'b', program: '9.0' };
    expect(speakerOf(packr.pack(hello))).toEqual({ protocol: 99, node: 'b', program: '9.0' });
    expect(speakerOf(packr.pack({ type: 'seedFailed', protocol: 99 }))).toBeUndefined();
    expect(speakerOf(packr.pack('hello'))).toBeUndefined();
  });
});
