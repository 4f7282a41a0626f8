/**
 * The output gate: nothing leaves that a takeover could not repeat. Each obligation by its number.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Epoch, LogPosition } from '../../src/base/units.ts';
import { OutputGate } from '../../src/core/output-gate.ts';

const at = (position: number) => position as LogPosition;
const epoch = (number: number) => number as Epoch;

function holding(): OutputGate {
  const gate = new OutputGate();
  gate.setMode('holding');
  return gate;
}

describe('the output gate', () => {
  it('lets an output go when a marker sent after it is acknowledged (2)', () => {
    // Goal: neither the marker alone nor the acknowledgement alone releases anything.
    const gate = holding();
    gate.outputsArrived(2);
    gate.markerSent(epoch(1));
    gate.acknowledged(at(999));
    expect(gate.released).toBe(0);
    gate.markerSeen(epoch(1), at(1000));
    expect(gate.released).toBe(0);
    gate.acknowledged(at(1000));
    expect([gate.released, gate.held]).toEqual([2, 0]);
  });

  it('keeps an output that arrived just behind the marker (2)', () => {
    // Goal: a marker covers what arrived before it was sent, not before it came back.
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.outputsArrived(1);
    expect(gate.needsMarker).toBe(true);
    gate.markerSeen(epoch(1), at(100));
    gate.acknowledged(at(5000));
    expect([gate.released, gate.held]).toEqual([1, 1]);
  });

  it('does not take an acknowledgement for progress when it is old or repeated (1)', () => {
    // Goal: acknowledgements are cumulative; a late smaller one takes nothing back.
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.markerSeen(epoch(1), at(100));
    gate.acknowledged(at(100));
    gate.acknowledged(at(20));
    gate.outputsArrived(1);
    gate.markerSent(epoch(2));
    gate.markerSeen(epoch(2), at(200));
    gate.acknowledged(at(100));
    expect(gate.released).toBe(1);
    gate.acknowledged(at(200));
    expect(gate.released).toBe(2);
  });

  it('releases at once while open, and all that waits when it opens (3, 4)', () => {
    // Goal: changing the mode takes nothing back and forgets nothing.
    const gate = new OutputGate();
    gate.outputsArrived(3);
    expect(gate.released).toBe(3);
    gate.setMode('holding');
    gate.outputsArrived(2);
    expect([gate.released, gate.held]).toEqual([3, 2]);
    gate.setMode('open');
    expect([gate.released, gate.held]).toEqual([5, 0]);
  });

  it('releases nothing while shut, whatever is acknowledged (5)', () => {
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.setMode('shut');
    gate.markerSeen(epoch(1), at(100));
    gate.acknowledged(at(100));
    gate.outputsArrived(1);
    gate.logEnded(at(100));
    expect([gate.released, gate.held]).toEqual([0, 2]);
  });

  it('counts the markers that are still on their way (6)', () => {
    // Goal: the sender can bound them; a marker seen is no longer on its way, acknowledged or not.
    const gate = holding();
    gate.markerSent(epoch(1));
    gate.markerSent(epoch(2));
    expect(gate.markersUnseen).toBe(2);
    gate.markerSeen(epoch(1), at(100));
    expect(gate.markersUnseen).toBe(1);
  });

  it('guest powers off with a marker on its way that never comes back (7)', () => {
    // Goal: the end of the log does a marker's work, for outputs that arrive behind it as well.
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.outputsArrived(1);
    gate.logEnded(at(300));
    gate.acknowledged(at(299));
    expect(gate.released).toBe(0);
    gate.acknowledged(at(300));
    expect(gate.released).toBe(2);
    gate.outputsArrived(1);
    gate.logEnded(at(300));
    expect([gate.released, gate.held]).toEqual([3, 0]);
  });

  it('new backup: what the old one acknowledged counts for nothing', () => {
    // Goal: an output that only a dead backup covered must be covered again.
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.markerSeen(epoch(1), at(100));
    gate.forgetAcknowledgements();
    gate.acknowledged(at(100));
    expect([gate.released, gate.needsMarker]).toEqual([0, true]);
  });

  it('new backup: a marker that is still on its way is counted, and releases nothing (6)', () => {
    // Goal: what QEMU has to carry is bounded, however often a backup is lost meanwhile.
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.markerSent(epoch(2));
    gate.forgetAcknowledgements();
    expect([gate.markersUnseen, gate.needsMarker]).toEqual([2, true]);
    gate.markerSeen(epoch(1), at(100));
    gate.markerSeen(epoch(2), at(200));
    gate.acknowledged(at(250));
    expect([gate.markersUnseen, gate.released]).toEqual([0, 0]);
    gate.markerSent(epoch(3));
    gate.markerSeen(epoch(3), at(300));
    expect(gate.released).toBe(0);
    gate.acknowledged(at(300));
    expect(gate.released).toBe(1);
  });

  it('whatever happens, in whatever order, the output rule holds', () => {
    // Goal: obligations 1, 2 and 5 against a naive model that remembers everything.
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('outputs'), n: fc.nat({ max: 3 }) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('send'), n: fc.constant(0) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('seen'), n: fc.nat({ max: 50 }) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('ack'), n: fc.nat({ max: 400 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('shut'), n: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const gate = holding();
        const sent: { arrived: number; position?: number }[] = [];
        let [arrived, acknowledged, position, released] = [0, 0, 0, 0];
        let isShut = false;
        for (const { do: what, n } of actions) {
          if (what === 'outputs') {
            arrived += n;
            gate.outputsArrived(n);
          } else if (what === 'send') {
            sent.push({ arrived });
            gate.markerSent(epoch(sent.length));
          } else if (what === 'seen') {
            const next = sent.findIndex((marker) => marker.position === undefined);
            if (next < 0) continue;
            position += n + 1;
            (sent[next] as { position?: number }).position = position;
            gate.markerSeen(epoch(next + 1), at(position));
          } else if (what === 'ack') {
            acknowledged = Math.max(acknowledged, n);
            gate.acknowledged(at(n));
          } else {
            isShut = true;
            gate.setMode('shut');
          }
          const covered = sent.filter((m) => (m.position ?? Infinity) <= acknowledged);
          const may = Math.max(0, ...covered.map((marker) => marker.arrived));
          if (isShut) expect(gate.released).toBe(released);
          else expect(gate.released).toBe(may);
          expect(gate.released).toBeGreaterThanOrEqual(released);
          expect(gate.released).toBeLessThanOrEqual(arrived);
          released = gate.released;
        }
      }),
    );
  });
});

describe('the output gate of a process that was away', () => {
  it('acks that are older than the return release nothing until a fresh one comes (8)', () => {
    const gate = holding();
    gate.outputsArrived(1);
    gate.markerSent(epoch(1));
    gate.markerSeen(epoch(1), at(100));
    gate.distrust();
    gate.acknowledged(at(150));
    expect(gate.released).toBe(0);
    gate.markerSent(epoch(2));
    gate.markerSeen(epoch(2), at(200));
    expect(gate.released).toBe(0);
    gate.acknowledged(at(200));
    expect(gate.released).toBe(1);
  });

  it('the end of the log is believed all the same (8)', () => {
    // Goal: there is no marker behind it, and its backup follows the guest, it does not take over.
    const gate = holding();
    gate.outputsArrived(1);
    gate.logEnded(at(100));
    gate.distrust();
    gate.acknowledged(at(100));
    expect(gate.released).toBe(1);
  });
});

describe('the output gate of a backup that acknowledges nothing', () => {
  it('remembers few markers, and releases no output too early for that (9)', () => {
    const gate = holding();
    const positionOf = (number: number) => at(number * 10);
    for (let number = 1; number <= 5000; number += 1) {
      gate.outputsArrived(1);
      gate.markerSent(epoch(number));
      gate.markerSeen(epoch(number), positionOf(number));
    }
    for (let number = 1; number <= 5000; number += 1) {
      gate.acknowledged(positionOf(number));
      expect(gate.released).toBeLessThanOrEqual(number);
    }
    expect([gate.released, gate.held]).toEqual([5000, 0]);
  });
});
