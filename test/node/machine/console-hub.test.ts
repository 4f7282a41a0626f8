// A person at the console must see what was printed before, and stay attached through a takeover.
import { expect, it } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { ConsoleHub } from '../../../src/node/machine/console-hub.ts';

function watch(hub: ConsoleHub) {
  const seen: Buffer[] = [];
  const detach = hub.attach((bytes) => seen.push(bytes));
  return { detach, text: () => Buffer.concat(seen).toString() };
}

it('who attaches late sees what was printed before, then everything', () => {
  const hub = new ConsoleHub();
  hub.output(Buffer.from('login: '));
  const person = watch(hub);
  hub.output(Buffer.from('root'));
  expect(person.text()).toBe('login: root');
  person.detach();
  hub.output(Buffer.from('!'));
  expect(person.text()).toBe('login: root');
});

it('keeps the end of a long history, within its limit', () => {
  const hub = new ConsoleHub();
  for (let i = 0; i < 40; i += 1) hub.output(Buffer.alloc(limits.consoleHistoryBytes / 16, i));
  hub.output(Buffer.from('the end'));
  const text = watch(hub).text();
  expect(text.length).toBe(limits.consoleHistoryBytes);
  expect(text.endsWith('the end')).toBe(true);
});

it('typed bytes go to the present machine, before a takeover and after', async () => {
  const hub = new ConsoleHub();
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
