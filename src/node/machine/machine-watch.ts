/**
 * Watches what a machine that runs here is made of, and says while it is hurt: it stands because a
 * disk failed, or a part of it hangs or has ended. Its guest has seen nothing of that, and its log
 * is what it was: whoever has a copy of it can take over.
 *
 * Meanwhile what can be mended is mended: a storage daemon that has ended, or is ended here because
 * it does not answer, is followed by another one. A machine that stands goes on when it is told to.
 */
import { reasonOf } from '../../base/errors.ts';
import type { Storage } from '../../hypervisor/disks/storage.ts';
import { Heartbeat } from '../../hypervisor/heartbeat.ts';
import { hypervisorLimits } from '../../hypervisor/limits.ts';
import type { LiveMachine } from '../../hypervisor/machine-parts.ts';
import type { QmpEvent } from '../../hypervisor/qemu/monitor.ts';
import type { MachineReport } from '../../ports/machine.ts';
import type { Logger } from '../logger.ts';

export interface MachineWatchOptions {
  readonly parts: LiveMachine;
  /** Only `hurt` and `healed`. */
  readonly report: (report: MachineReport) => void;
  /** Another storage daemon has taken the place of the one before. */
  readonly onStorage: (storage: Storage) => void;
  readonly log: Logger;
}

type Part = 'disk' | 'storage' | 'qemu' | 'guest' | 'log';

export class MachineWatch {
  readonly #options: MachineWatchOptions;
  readonly #problems = new Map<Part, string>();
  readonly #qemuBeat: Heartbeat;
  readonly #stopListening: () => void;
  #storageBeat: Heartbeat | undefined;
  #storageTimer: NodeJS.Timeout | undefined;
  #calm: NodeJS.Timeout | undefined;
  #storage: Storage;
  #isRenewing = false;
  #isOver = false;

  constructor(options: MachineWatchOptions) {
    this.#options = options;
    const { recorder, storage } = options.parts;
    const { instance } = recorder;
    this.#stopListening = instance.monitor.onEvent((event) => this.#takeEvent(event));
    this.#qemuBeat = new Heartbeat({
      pid: instance.process.pid,
      ask: () => instance.answer(),
      isExcused: () => recorder.throttle.share > 0,
      onSilent: (seconds) => this.#set('qemu', `QEMU has not answered for ${seconds} s`),
      onAnswer: () => this.#set('qemu', undefined),
    });
    this.#storage = storage;
    this.#watchStorage(storage);
  }

  /** QEMU answers nothing: it cannot be told to stop either. */
  get isSilent(): boolean {
    return this.#qemuBeat.isSilent;
  }

  /** Ends the storage daemon, which works, for another one with sockets of its own. */
  renewStorage(): void {
    this.#isRenewing = true;
    void this.#storage.kill();
  }

  /** Whether there is room for its log. */
  room(isThere: boolean): void {
    const where = this.#options.parts.ramFile;
    const problem = `there is no room for the event log where its memory is, '${where}'`;
    this.#set('log', isThere ? undefined : problem);
  }

  close(): void {
    this.#isOver = true;
    this.#stopListening();
    this.#qemuBeat.close();
    this.#storageBeat?.close();
    clearTimeout(this.#storageTimer);
    clearTimeout(this.#calm);
  }

  #set(part: Part, problem: string | undefined): void {
    if (this.#isOver || this.#problems.get(part) === problem) return;
    if (problem === undefined) this.#problems.delete(part);
    else this.#problems.set(part, problem);
    const { report } = this.#options;
    if (this.#problems.size === 0) report({ type: 'healed' });
    else {
      const reason = [...this.#problems.values()].join('; ');
      const stands = this.#problems.has('disk') || this.#problems.has('guest');
      report({ type: 'hurt', reason, stands });
    }
  }

  #takeEvent({ event, data }: QmpEvent): void {
    const { recorder } = this.#options.parts;
    switch (event) {
      case 'BLOCK_IO_ERROR':
        if (data?.action === 'stop') this.#diskFailed(data);
        return;
      case 'STOP':
        if (!recorder.instance.isToldToStand) void this.#whyItStands();
        return;
      case 'RESUME':
        this.#set('guest', undefined);
        this.#expectCalm();
        return;
      case 'RESET':
      case 'SUSPEND':
      case 'WAKEUP':
      case 'WATCHDOG':
      case 'GUEST_PANICKED':
        // What the guest does itself, its copy does as well.
        this.#options.log.info({ event, ...data }, 'the guest');
        return;
      default:
        return;
    }
  }

  #diskFailed(data: NonNullable<QmpEvent['data']>): void {
    const { recorder, storage } = this.#options.parts;
    clearTimeout(this.#calm);
    this.#calm = undefined;
    const problem = storage.describeError(data);
    recorder.failure = problem;
    this.#set('disk', problem);
  }

  /** It goes on; whether it can, the disk says. */
  #expectCalm(): void {
    if (!this.#problems.has('disk')) return;
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => this.#set('disk', undefined), hypervisorLimits.diskCalmMs);
  }

  async #whyItStands(): Promise<void> {
    const { instance } = this.#options.parts.recorder;
    try {
      const found = await instance.monitor.execute<{ status: string; running: boolean }>(
        'query-status',
      );
      // One that a disk has stopped was told by its own event, a guest that went off ends.
      if (found.running || ['io-error', 'shutdown'].includes(found.status)) return;
      if (instance.isToldToStand) return;
      this.#set('guest', `QEMU has stopped it (${found.status})`);
    } catch {
      // It does not answer, or has ended: the heartbeat, or its end, says so.
    }
  }

  #watchStorage(storage: Storage): void {
    this.#storage = storage;
    this.#storageBeat = new Heartbeat({
      pid: storage.pid,
      ask: () => storage.answer(),
      onSilent: (seconds) => {
        this.#set('storage', `the storage daemon has not answered for ${seconds} s`);
        this.#storageTimer = setTimeout(() => {
          storage.kill().catch((thrown: unknown) => {
            this.#options.log.error({ error: reasonOf(thrown) }, 'a daemon that hangs');
          });
        }, hypervisorLimits.daemonEndMs);
      },
      onAnswer: () => {
        clearTimeout(this.#storageTimer);
        this.#set('storage', undefined);
      },
    });
    void storage.exited.then(({ reason }) => {
      if (this.#isOver) return;
      this.#storageBeat?.close();
      clearTimeout(this.#storageTimer);
      if (!this.#isRenewing) this.#set('storage', `the storage daemon has ended (${reason})`);
      this.#replaceLater(storage, this.#isRenewing ? 0 : hypervisorLimits.daemonRetryMs);
      this.#isRenewing = false;
    });
    // Of a copy whose run directory was removed: its own disks need no more of it, a seed does.
    if (!storage.canBeReached) this.renewStorage();
  }

  #replaceLater(storage: Storage, pauseMs: number): void {
    this.#storageTimer = setTimeout(() => void this.#replace(storage, pauseMs), pauseMs);
  }

  async #replace(storage: Storage, pauseMs: number): Promise<void> {
    try {
      const next = await storage.again();
      if (this.#isOver) {
        await next.stop();
        return;
      }
      this.#options.onStorage(next);
      this.#watchStorage(next);
      this.#set('storage', undefined);
    } catch (thrown) {
      if (this.#isOver) return;
      this.#set('storage', `no storage daemon can be started: ${reasonOf(thrown)}`);
      const { daemonRetryMs, daemonRetryMaxMs } = hypervisorLimits;
      this.#replaceLater(storage, Math.min(2 * pauseMs + daemonRetryMs, daemonRetryMaxMs));
    }
  }
}
