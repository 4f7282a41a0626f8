// The numbered obligations of src/ports/egress.ts that every real egress must meet.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UnderstudyError } from '../../src/base/errors.ts';
import { GUEST_MAC, type Outside, testFrame, textOf, until } from './outside.ts';

export function egressContract(kind: string, makeOutside: () => Promise<Outside>): void {
  describe(`${kind}: the egress contract`, () => {
    let outside: Outside;
    let received: Buffer[];
    let downs: [UnderstudyError, boolean][];

    beforeEach(async () => {
      outside = await makeOutside();
      received = [];
      downs = [];
      outside.egress.onFrame((frame) => received.push(frame));
      outside.egress.onDown((reason, recovering) => downs.push([reason, recovering]));
    });
    afterEach(async () => {
      await outside.egress.close();
      await outside.remove();
    });

    test('1: says nothing before open, even when prepared', async () => {
      await outside.egress.prepare();
      outside.egress.send([testFrame('too early')]);
      outside.egress.announce([GUEST_MAC]);
      await outside.egress.open();
      outside.egress.send([testFrame('now')]);
      await until('the frame arrives', () => outside.seen.length > 0);
      expect(outside.seen.map(textOf)).toEqual(['now']);
      expect(outside.egress.stats()).toMatchObject({ framesSent: 1, framesDropped: 1 });
    });

    test('1: is deaf and dumb from the moment close is called', async () => {
      await outside.egress.open();
      const closed = outside.egress.close();
      outside.egress.send([testFrame('too late')]);
      outside.egress.announce([GUEST_MAC]);
      outside.put(testFrame('for nobody'));
      await closed;
      expect(outside.seen).toEqual([]);
      expect(received).toEqual([]);
      expect(outside.egress.stats()).toMatchObject({ connected: false, framesDropped: 1 });
    });

    test('4 and 5: carries frames both ways, in order and unchanged', async () => {
      await outside.egress.open();
      const texts = Array.from({ length: 50 }, (_, n) => `frame ${n}`);
      outside.egress.send(texts.map(testFrame));
      await until('all frames left', () => outside.seen.length === 50);
      expect(outside.seen.map(textOf)).toEqual(texts);
      for (const text of texts) outside.put(testFrame(text));
      await until('all frames came', () => received.length >= 50);
      expect(received.map(textOf)).toEqual(texts);
      expect(received[0]).toEqual(testFrame('frame 0'));
    });

    test('4: takes what no wire can carry without throwing', async () => {
      await outside.egress.open();
      outside.egress.send([Buffer.alloc(0), Buffer.alloc(70_000), testFrame('good')]);
      await until('the good frame arrives', () => outside.seen.length > 0);
      expect(outside.seen.map(textOf)).toEqual(['good']);
      expect(outside.egress.stats()).toMatchObject({ framesSent: 1, framesDropped: 2 });
    });

    test('6: announces each address several times, and stops with close', async () => {
      await outside.egress.open();
      outside.egress.announce([GUEST_MAC, '52:54:00:12:34:57']);
      await until('a second round', () => outside.seen.length >= 4);
      await outside.egress.close();
      expect(outside.seen.every((frame) => frame.readUInt16BE(12) === 0x8035)).toBe(true);
      const before = outside.seen.length;
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(outside.seen.length).toBe(before);
    });

    test('7: tells when the wire is gone', async () => {
      await outside.egress.open();
      await outside.cut();
      await until('the listener was told', () => downs.length > 0);
      expect(downs[0]?.[0].code).toBe('link');
      outside.egress.send([testFrame('nowhere to go')]);
    });

    test('9: close may come early, late and twice', async () => {
      await outside.egress.close();
      await outside.egress.close();
      await expect(outside.egress.open()).rejects.toThrow();
    });

    test('9: close in the middle of opening', async () => {
      const opened = outside.egress.open().catch((error: unknown) => error);
      await outside.egress.close();
      expect(await opened).toBeInstanceOf(Error);
      expect(outside.egress.stats().connected).toBe(false);
    });
  });
}
