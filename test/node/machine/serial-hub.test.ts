// A person at the console must see what was printed before, and stay attached through a takeover.
import { expect, it } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { SerialHub } from '../../../src/node/machine/serial-hub.ts';

function watch(hub: SerialHub) {
  const seen: Buffer[] = [];
  const detach = hub.attach((bytes) => seen.push(bytes));
  return { detach, text: () => Buffer.concat(seen).toString() };
}

it('who attaches late sees what was printed before, then everything', () => {
  const hub = new SerialHub();
  hub.output(Buffer.from('login: '));
  const person = watch(hub);
  hub.output(Buffer.from('root'));
  expect(person.text()).toBe('login: root');
  person.detach();
  hub.output(Buffer.from('!'));
  expect(person.text()).toBe('login: root');
});

it('keeps the end of a long history, within its limit', () => {
  const hub = new SerialHub();
  for (let i = 0; i < 40; i += 1) hub.output(Buffer.alloc(limits.serialHistoryBytes / 16, i));
  hub.output(Buffer.from('the end'));
  const text = watch(hub).text();
  expect(text.length).toBe(limits.serialHistoryBytes);
  expect(text.endsWith('the end')).toBe(true);
});

it('typed bytes go to the present machine, before a takeover and after', async () => {
  const hub = new SerialHub();
  const typed: string[] = [];
  const taker = (name: string) => (bytes: Buffer) => {
    typed.push(`${name} ${bytes}`);
    return Promise.resolve();
  };
  await hub.input(Buffer.from('nobody listens')); // no machine yet: lost, not an error
  hub.onInput(taker('old'));
  await hub.input(Buffer.from('x'));
  hub.onInput(taker('new'));
  await hub.input(Buffer.from('y'));
  expect(typed).toEqual(['old x', 'new y']);
});
