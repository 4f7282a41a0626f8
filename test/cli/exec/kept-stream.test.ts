// Goal: what a command says is printed in order, each byte once, and never before it may be; a
// machine that went back and says something else is found out.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { KeptStream } from '../../../src/cli/verbs/exec/kept-stream.ts';

function stream(isHeld: boolean): { readonly of: KeptStream; readonly printed: () => string } {
  let printed = '';
  const print = (bytes: Buffer): void => {
    printed += bytes.toString();
  };
  return { of: new KeptStream({ name: 'standard output', isHeld, print }), printed: () => printed };
}

const take = (of: KeptStream, text: string): void => of.take(Buffer.from(text));

describe('a stream', () => {
  it('that need not be held is printed at once', () => {
    const { of, printed } = stream(false);
    take(of, 'one ');
    expect(printed()).toBe('one ');
    take(of, 'two');
    expect(printed()).toBe('one two');
    expect([of.position, of.held]).toEqual([7, 0]);
  });

  it('that is held is printed up to what is kept', () => {
    const { of, printed } = stream(true);
    take(of, 'one two');
    expect(printed()).toBe('');
    of.printTo(4);
    of.printTo(2);
    expect([printed(), of.held]).toEqual(['one ', 3]);
  });

  it('of a machine that goes back to the newest snapshot may go on otherwise', () => {
    const { of, printed } = stream(true);
    take(of, 'one two');
    of.printTo(4);
    of.forget(4);
    of.goBack(4);
    take(of, 'three');
    of.printTo(of.position);
    expect(printed()).toBe('one three');
  });

  it('of a machine that goes back further does not say twice what was printed', () => {
    const { of, printed } = stream(true);
    take(of, 'one two three');
    of.printTo(8);
    of.forget(4);
    of.goBack(4);
    take(of, 'tw');
    take(of, 'o fo');
    take(of, 'ur');
    of.printTo(of.position);
    expect(printed()).toBe('one two four');
  });

  it('that goes back and says something else than what was printed is refused', () => {
    const { of, printed } = stream(true);
    take(of, 'one two');
    of.printTo(6);
    of.goBack(4);
    expect(() => take(of, 'ten')).toThrow(UnderstudyError);
    expect(printed()).toBe('one tw');
  });

  it('is not gone back on to what is forgotten, or was never said', () => {
    const { of } = stream(true);
    take(of, 'one two');
    of.printTo(4);
    of.forget(7);
    expect(() => of.goBack(3)).toThrow('cannot go back');
    expect(() => of.goBack(8)).toThrow('cannot go back');
    of.goBack(4);
  });
});
