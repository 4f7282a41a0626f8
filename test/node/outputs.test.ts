// What the guest says leaves in its order, to where it belongs, when it is let out and not before
// the egress is open.
import { expect, test } from 'vitest';
import type { CardEgresses } from '../../src/egress/cards.ts';
import { SerialPorts } from '../../src/node/machine/serial-ports.ts';
import { Outputs } from '../../src/node/outputs.ts';
import { type NodeEvent, Reporter } from '../../src/node/report.ts';

const card = (index: number) => ({ kind: 'nic', index }) as const;
const agent = { kind: 'serial', index: 1 } as const;
const screen = { kind: 'serial', index: 0 } as const;
const macs = ['52:54:00:00:00:01', '52:54:00:00:00:02'];

/** Two cards, a console and a port beside it, and what happened to them in order. */
function outputs(opening: Promise<void> = Promise.resolve()) {
  const said: string[] = [];
  const egress = {
    open: async () => {
      said.push('open');
      await opening;
    },
    announce: (addresses: readonly string[]) => said.push(`announce ${addresses.length}`),
    send: (index: number, frames: readonly Buffer[]) => {
      said.push(`card ${index}: ${frames.map(String).join(' ')}`);
    },
    close: async () => void said.push('close'),
  } as unknown as CardEgresses;
  const serials = new SerialPorts(['agent']);
  for (const name of serials.names) {
    serials.named(name)?.attach((bytes) => said.push(`${name}: ${bytes}`));
  }
  const reporter = new Reporter();
  const events: NodeEvent[] = [];
  reporter.events.subscribe((event) => events.push(event));
  const made = new Outputs({ cards: 2, egress, serials, reporter });
  const push = (channel: Parameters<Outputs['push']>[0], text: string) =>
    made.push(channel, Buffer.from(text));
  return { made, said, events, push };
}

test('each goes to its card or serial port, in its order, a card’s frames together', async () => {
  const { made, said, push } = outputs();
  await made.open(macs);
  push(card(1), 'a');
  push(screen, 'login: ');
  push(card(0), 'b');
  push(card(1), 'c');
  push(card(1), 'later');
  push(agent, 'C 1 ');
  expect(said.splice(0)).toEqual(['open', 'announce 2']);
  made.release(4);
  expect(said.splice(0)).toEqual(['console: login: ', 'card 0: b', 'card 1: a c']);
  made.release(6);
  expect(said).toEqual(['agent: C 1 ', 'card 1: later']);
});

test('let out before the egress is open: it leaves when it is, behind the announcement', async () => {
  // Goal: a switch that does not know yet where the guest is would send the answers elsewhere.
  let open: () => void = () => undefined;
  const opening = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { made, said, push } = outputs(opening);
  const opened = made.open(macs);
  push(card(0), 'a');
  push(screen, 'x');
  push(card(0), 'held');
  made.release(1);
  made.release(2);
  expect(said).toEqual(['open']);
  open();
  await opened;
  expect(said).toEqual(['open', 'announce 2', 'console: x', 'card 0: a']);
});

test('nothing was let out before the egress is open: it opens without a word', async () => {
  const { made, said, events, push } = outputs();
  push(card(0), 'held');
  await made.open(macs);
  expect([said, events]).toEqual([['open', 'announce 2'], []]);
});

test('the first output is reported, once', async () => {
  const { made, events, push } = outputs();
  await made.open(macs);
  push(card(0), 'a');
  push(card(0), 'b');
  made.release(1);
  made.release(2);
  expect(events.map(({ type }) => type)).toEqual(['firstOutput']);
});

test('how long outputs waited is counted anew when they wait for something else', async () => {
  const { made, events, push } = outputs();
  await made.open(macs);
  push(card(0), 'a');
  push(card(0), 'b');
  made.release(2);
  made.reportHolds();
  made.beginCount();
  push(card(0), 'c');
  made.release(3);
  made.reportHolds();
  const holds = events.flatMap((event) => (event.type === 'hold' ? [event] : []));
  expect(holds.map(({ count }) => count)).toEqual([2, 1]);
  for (const { p50Ms, p99Ms } of holds) expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
});

test('the machine is gone: its egress is closed', async () => {
  const { made, said } = outputs();
  await made.close();
  expect(said).toEqual(['close']);
});

test('without a network the console works, and what the cards say is lost', async () => {
  const { made, said, push } = outputs(Promise.reject(new Error('no such bridge')));
  push(card(0), 'frame');
  push(screen, 'text');
  made.release(2);
  await expect(made.open(macs)).rejects.toThrow('no such bridge');
  expect(said).toEqual(['open', 'console: text', 'card 0: frame']);
});
