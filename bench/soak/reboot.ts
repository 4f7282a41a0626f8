/**
 * Soaks the guest's reboot: a pair reboots its guest again and again and compares both machines
 * after each boot. Every copy that was given up and every difference is a finding.
 *
 *   npm run soak -- reboot [--reboots 10] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openWorld } from '../../src/lab/open-world.ts';
import { Stage } from '../../src/lab/stage.ts';
import { readGuestPage } from '../../src/lab/world-program.ts';
import { askNode, connectControl } from '../../src/observe/control-client.ts';
import { Progress } from '../../src/text/progress.ts';

const { values } = parseArgs({
  options: {
    reboots: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
const progress = new Progress(process.stderr);

/** A guest that is followed boots slower than one alone. */
const bootMs = 120_000;
const readyText = 'understudy-guest ready';
const keyMs = 30;

/** Types the command into the console, and resolves when the guest says that it is up again. */
async function reboot(control: string): Promise<void> {
  const socket = await connectControl(control);
  try {
    socket.resume();
    socket.write('{"command":"console"}\n');
    // A serial port has room for a few bytes, and takes them no faster than its guest.
    for (const key of 'reboot -f\n') {
      await sleep(keyMs);
      socket.write(key);
    }
    // What was printed before belongs to the boot before.
    const up = new Promise<void>((resolve) => {
      let text = '';
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
        if (text.includes(readyText)) resolve();
      });
    });
    const tooLate = sleep(bootMs, 'tooLate', { ref: false });
    if ((await Promise.race([up, tooLate])) === 'tooLate') {
      throw new Error(`the guest did not come up again within ${bootMs} ms`);
    }
  } finally {
    socket.destroy();
  }
}

interface Findings {
  reboots: number;
  equal: number;
  /** What differed, or why there was nothing to compare. */
  readonly unequal: string[];
  readonly copiesGivenUp: string[];
}

async function soak(findings: Findings): Promise<void> {
  const world = await openWorld();
  let stage: Stage | undefined;
  try {
    stage = await Stage.open({ nodes: ['a', 'b'], egressSpecs: world.egressSpecs });
    const primary = stage.start('a');
    const deadline = performance.now() + bootMs;
    while ((await readGuestPage(world, '/read').catch(() => undefined)) === undefined) {
      if (performance.now() > deadline) throw new Error('the guest did not answer after its boot');
      await sleep(200);
    }
    const backup = stage.start('b');
    backup.events.subscribe((event) => {
      if (event.type !== 'replicaDiscarded') return;
      findings.copiesGivenUp.push(event.reason);
      progress.event(`the copy was given up: ${event.reason}`);
    });
    await backup.until('protecting', bootMs);
    while (findings.reboots < Number(values.reboots)) {
      await reboot(primary.control);
      findings.reboots += 1;
      const answer = await askNode<Verified>(primary.control, 'verify');
      if (answer.equal === true) findings.equal += 1;
      else findings.unequal.push(answer.error ?? (answer.differences ?? []).join('; '));
      progress.status(line(findings));
    }
  } finally {
    await stage?.close();
    await world.close();
  }
}

interface Verified {
  readonly ok: boolean;
  readonly equal?: boolean;
  readonly differences?: readonly string[];
  readonly error?: string;
}

const line = ({ reboots, equal, copiesGivenUp }: Findings): string =>
  `${reboots} reboots, equal after ${equal} of them, ${copiesGivenUp.length} copies given up`;

const findings: Findings = { reboots: 0, equal: 0, unequal: [], copiesGivenUp: [] };
await soak(findings);
progress.end();
process.stdout.write(`${line(findings)}\n`);
if (values.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
process.exitCode = findings.equal < findings.reboots || findings.copiesGivenUp.length > 0 ? 1 : 0;
