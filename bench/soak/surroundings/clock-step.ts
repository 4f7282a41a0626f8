/**
 * Loaded into a node under test (`--import`): its wall clock is off by what a file says, in
 * milliseconds. A host has one clock, and others need it: a soak cannot step that one, and a time
 * namespace has no wall clock of its own.
 *
 * It is the node's clock alone that is stepped. QEMU and the storage daemon go on with the host's.
 */
import fs from 'node:fs';

const file = process.env.SOAK_CLOCK_FILE;
const lookMs = 100;
let offsetMs = 0;

function look(): void {
  try {
    offsetMs = Number(fs.readFileSync(file ?? '', 'utf8')) || 0;
  } catch {
    offsetMs = 0; // nobody has stepped it yet
  }
}

const HostDate = Date;
const hostNow = HostDate.now;

class SteppedDate extends HostDate {
  constructor(...args: []) {
    if (args.length === 0) super(SteppedDate.now());
    else super(...args);
  }

  static override now(): number {
    return hostNow() + offsetMs;
  }
}

if (file !== undefined) {
  look();
  setInterval(look, lookMs).unref();
  globalThis.Date = SteppedDate as DateConstructor;
}
