/** A Debian of `scripts/guest/distribution`, by its ssh: commands, and whether it is up. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { guestNet } from '../../../src/lab/guest-net.ts';
import type { World, WorldChild } from '../../../src/lab/world.ts';

/** Where its disk, kernel and key are. */
export const distributionDir = fileURLToPath(
  new URL('../../../build/distribution', import.meta.url),
);
const maker = fileURLToPath(new URL('../../../scripts/guest/distribution', import.meta.url));

/** Makes it, if it is not there or its inputs have changed. Throws `environment`. */
export function makeDistribution(): void {
  try {
    execFileSync(maker, { stdio: ['ignore', 2, 2] });
  } catch (thrown) {
    throw new UnderstudyError('environment', 'The guest could not be made', {
      cause: asError(thrown),
      hint: `run '${maker}'`,
    });
  }
}

const pollMs = 500;
const commandMs = 60_000;
const tryMs = 45_000;
/** A guest that works, behind a takeover, on a machine that has little time for it. */
const connectSeconds = 30;

export class DebianGuest {
  readonly #world: World;
  readonly #ssh: readonly string[];

  /** `key`: path of the private key that its root knows. */
  constructor(world: World, key: string) {
    this.#world = world;
    this.#ssh = [
      ...['-i', key, '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
      ...['-o', `ConnectTimeout=${connectSeconds}`],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      `root@${guestNet.address}`,
    ];
  }

  /** Starts a command there; it ends with its connection. */
  start(command: string): WorldChild {
    return this.#world.spawn('ssh', [...this.#ssh, command]);
  }

  /**
   * Starts work that goes on until its input ends, or its connection: a command that prints nothing
   * would never notice.
   */
  startWork(command: string): WorldChild {
    const text = Buffer.from(command).toString('base64');
    const work = this.start(
      `setsid bash -c "$(echo ${text} | base64 -d)" & cat >/dev/null; kill -KILL -- -$!`,
    );
    work.stdout.resume();
    work.stderr.resume();
    work.stdin.on('error', () => undefined); // its guest reboots
    return work;
  }

  /** What a command printed. Throws `environment` when it fails or does not end in time. */
  async run(command: string, deadlineMs = commandMs): Promise<string> {
    const child = this.start(command);
    child.stdin.end();
    let out = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-500);
    });
    const late = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    const code = await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(late);
    if (code === 0) return out;
    throw new UnderstudyError('environment', `The guest did not do '${command}'`, {
      cause: new Error(complaint.trim() || `ssh ended with ${code}`),
    });
  }

  /** Tells it to reboot, until it has heard that. Throws `environment` when it does not in time. */
  async reboot(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (performance.now() < deadline) {
      const child = this.start('echo heard; systemctl reboot');
      child.stdin.end();
      const heard = new Promise<boolean>((resolve) => {
        child.stdout.once('data', () => resolve(true));
        child.once('close', () => resolve(false));
      });
      if (await heard) return;
      await sleep(pollMs);
    }
    throw new UnderstudyError('environment', 'The guest did not hear that it is to reboot');
  }

  /** Which boot it is in. */
  async bootId(): Promise<string> {
    return (await this.run('cat /proc/sys/kernel/random/boot_id', tryMs)).trim();
  }

  /** Waits until it is up, in another boot than `before`. Returns that boot. */
  async untilUp(deadlineMs: number, before?: string): Promise<string> {
    const deadline = performance.now() + deadlineMs;
    let reason: unknown;
    while (performance.now() < deadline) {
      try {
        const boot = await this.bootId();
        if (boot !== before) return boot;
      } catch (thrown) {
        reason = thrown;
      }
      await sleep(pollMs);
    }
    throw new UnderstudyError('environment', 'The guest did not come up in time', {
      cause: reason,
    });
  }
}
