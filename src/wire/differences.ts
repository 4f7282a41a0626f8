/**
 * What differs between two nodes that say hello, in the words of whoever set them up.
 *
 * Everything that differs is said at once: whoever mends one thing should not find the next one by
 * trying.
 */
import type { Hello } from '../ports/link.ts';

type Described = Omit<Hello, 'protocol'>;

/** A word for the cause, and all that differs. */
export interface Difference {
  readonly code: 'pair' | 'self' | 'arbiter' | 'qemu' | 'logLayout' | 'vmFingerprint';
  readonly what: string;
}

/** `undefined`: they fit. The words are the same whoever of the two finds them. */
export function differenceOf(one: Described, other: Described): Difference | undefined {
  const [a, b] = one.node <= other.node ? [one, other] : [other, one];
  if (a.pair !== b.pair) {
    const what = `node '${a.node}' is of pair '${a.pair}', node '${b.node}' of pair '${b.pair}'`;
    return { code: 'pair', what };
  }
  if (a.node === b.node) return { code: 'self', what: `both nodes are named '${a.node}'` };
  const found: Difference[] = [];
  const both = (what: string, ofA: string, ofB: string): string =>
    `${what} is ${ofA} on node '${a.node}' and ${ofB} on node '${b.node}'`;
  // First: a node that hears of it claims no term (src/node/identified-arbiter.ts, 3).
  if (a.arbiter !== undefined && b.arbiter !== undefined && a.arbiter !== b.arbiter) {
    found.push({
      code: 'arbiter',
      what: both('the identity of the arbiter', a.arbiter, b.arbiter),
    });
  }
  if (a.qemu !== b.qemu) {
    if (!(upgrades(a, b) || upgrades(b, a))) {
      found.push({ code: 'qemu', what: both('QEMU', a.qemu, b.qemu) });
    }
  } else if (a.logLayout !== b.logLayout) {
    const what = both("the layout of QEMU's log", a.logLayout, b.logLayout);
    found.push({ code: 'logLayout', what });
  }
  if (a.vmFingerprint !== b.vmFingerprint) {
    const parts = differingParts(a, b).map(({ what, ofA, ofB }) => both(what, ofA, ofB));
    const what =
      parts.length > 0
        ? parts.join('; ')
        : both('the digest of the machine', a.vmFingerprint, b.vmFingerprint);
    found.push({ code: 'vmFingerprint', what });
  }
  const [first] = found;
  return first && { code: first.code, what: found.map(({ what }) => what).join('; ') };
}

/** One takes the other's machine over with a newer QEMU: as its backup, and not the other way. */
const upgrades = (from: Described, to: Described): boolean =>
  to.upgradeFrom === from.qemu && from.standing?.role === 'primary';

function differingParts(a: Described, b: Described) {
  const valuesOf = ({ machine = [] }: Described) =>
    new Map(machine.map(({ what, value }) => [what, value]));
  const [ofA, ofB] = [valuesOf(a), valuesOf(b)];
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map((what) => ({ what, ofA: ofA.get(what) ?? absent, ofB: ofB.get(what) ?? absent }))
    .filter((part) => part.ofA !== part.ofB);
}

const absent = 'not there';
