/**
 * The journals of a bank's members (docs/guest.md), and what a state of all of them together says:
 * each as its disk had it.
 */

/** What each member begins with. */
const startBalance = 1000;

interface Transfer {
  /** Place of the other member. */
  readonly peer: number;
  /** From 1, for each sender and receiver. */
  readonly seq: number;
  readonly amount: number;
}

export interface Journal {
  readonly sent: readonly Transfer[];
  readonly received: readonly Transfer[];
  /** Connections that were made, and those that broke. */
  readonly connections: number;
  readonly broken: number;
}

/** A last line without its end was not written. */
export function parseJournal(text: string): Journal {
  const sent: Transfer[] = [];
  const received: Transfer[] = [];
  let connections = 0;
  let broken = 0;
  for (const line of text.split('\n').slice(0, -1)) {
    const [kind, peer, seq, amount] = line.split(' ');
    const transfer = { peer: Number(peer), seq: Number(seq), amount: Number(amount) };
    if (kind === 'S' && isWhole(transfer)) sent.push(transfer);
    else if (kind === 'R' && isWhole(transfer)) received.push(transfer);
    else if (kind === 'C') connections += 1;
    else if (kind === 'B') broken += 1;
    else throw new Error(`no line of a journal: '${line.slice(0, 80)}'`);
  }
  return { sent, received, connections, broken };
}

const isWhole = ({ peer, seq, amount }: Transfer): boolean =>
  [peer, seq, amount].every((value) => Number.isSafeInteger(value) && value >= 0);

export interface Judgement {
  /** Received, and not sent: an effect without its cause. */
  readonly orphans: number;
  /** Sent, and not received though a later one was: no network may do that to a connection. */
  readonly lost: number;
  /** Sent or received twice. */
  readonly doubled: number;
  /** Sent, and not received yet. */
  readonly inTransit: number;
  /** All accounts and what is in transit, less what all began with: 0. */
  readonly amiss: number;
  readonly received: number;
}

/** `journals`: of the members, in the order of their places. */
export function judge(journals: readonly Journal[]): Judgement {
  const sums = { orphans: 0, lost: 0, doubled: 0, inTransit: 0, amiss: 0, received: 0 };
  for (const [from, sender] of journals.entries()) {
    for (const [to, receiver] of journals.entries()) {
      const sent = sender.sent.filter(({ peer }) => peer === to);
      const received = receiver.received.filter(({ peer }) => peer === from);
      const amounts = new Map(sent.map(({ seq, amount }) => [seq, amount]));
      const arrived = new Set(received.map(({ seq }) => seq));
      const last = Math.max(0, ...arrived);
      const missing = sent.filter(({ seq }) => !arrived.has(seq));
      sums.orphans += received.filter(({ seq, amount }) => amounts.get(seq) !== amount).length;
      sums.lost += missing.filter(({ seq }) => seq < last).length;
      sums.doubled += sent.length - amounts.size + received.length - arrived.size;
      sums.inTransit += missing.filter(({ seq }) => seq > last).length;
      sums.received += received.length;
      sums.amiss += total(missing);
    }
    sums.amiss += balanceOf(sender) - startBalance;
  }
  return sums;
}

const total = (transfers: readonly Transfer[]): number =>
  transfers.reduce((sum, { amount }) => sum + amount, 0);

const balanceOf = ({ sent, received }: Journal): number =>
  startBalance - total(sent) + total(received);
