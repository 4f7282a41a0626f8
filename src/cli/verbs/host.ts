/** All pairs of a directory, run on this host by one process; and what that is asked. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { askHost } from '../../controller/host-client.ts';
import { HostController } from '../../controller/host-controller.ts';
import { controlOfHost, defaultHostRunDir } from '../../controller/host-run-dir.ts';
import type { HostedNodeStatus, HostStatus } from '../../controller/host-status.ts';
import { controllerLimits } from '../../controller/limits.ts';
import { hostLimits } from '../../host/limits.ts';
import { StopSignals } from '../../host/stop-signals.ts';
import type { Concern } from '../../node/concerns.ts';
import { openLog } from '../../node/logger.ts';

interface Places {
  readonly dir: string;
  readonly runDir?: string;
}

export interface HostOptions extends Places {
  readonly name?: readonly string[];
}

export interface StatusOptions extends Places {
  readonly json?: boolean;
}

export interface RestartOptions extends StatusOptions {
  readonly force?: boolean;
}

export interface StopOptions extends Places {
  readonly keepNodes?: boolean;
}

/** Runs until it is stopped, by a signal or `host stop`. */
export async function host({ name = [], ...places }: HostOptions): Promise<void> {
  process.umask(0o077);
  const dir = path.resolve(places.dir);
  const opened = openLog('host');
  const { log, output } = opened;
  const controller = new HostController({
    ...opened,
    ...{ dir, names: name, runDir: runDirOf(places) },
  });
  const signals = new StopSignals({
    onStop: () => controller.stop(),
    onHangup: () => log.info({}, 'SIGHUP: nothing is read anew, and the host goes on'),
  });
  try {
    await controller.run();
  } finally {
    await output.flush(hostLimits.outputFlushMs);
    signals.close();
  }
}

/** Prints what the host and its nodes do. */
export async function hostStatus({ json = false, ...places }: StatusOptions): Promise<void> {
  const status = await askHost<HostStatus>(controlOf(places), 'status');
  if (json) {
    process.stdout.write(`${JSON.stringify(status)}\n`);
    return;
  }
  const { pid, dir, stopping, concerns, nodes } = status;
  const what = stopping ? 'is ending' : `runs ${nodes.length} nodes`;
  const lines = [
    `host ${pid} of ${dir} ${what}`,
    ...concerns.map(concernLine),
    ...nodes.flatMap((node) => [nodeLine(node), ...node.concerns.map(concernLine)]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Returns when the host has taken it on. */
export async function restart(what: string, options: RestartOptions): Promise<void> {
  const { force = false, json = false, ...places } = options;
  const more = { what, ...(force ? { force: 'yes' } : {}) };
  const { nodes } = await askHost<{ nodes: string[] }>(controlOf(places), 'restart', more);
  const text = `restarting ${nodes.join(', then ')}`;
  process.stdout.write(`${json ? JSON.stringify({ nodes }) : text}\n`);
}

/** Returns when the host has ended. Throws `environment` when it does not. */
export async function stop({ keepNodes = false, ...places }: StopOptions): Promise<void> {
  const control = controlOf(places);
  const { pid } = await askHost<HostStatus>(control, 'status');
  await askHost(control, 'stop', keepNodes ? { keep: 'yes' } : {});
  // The nodes of a pair end one after the other.
  const waitMs = 2 * (controllerLimits.stopMs + hostLimits.killMs);
  const deadline = performance.now() + waitMs;
  const answers = (): Promise<boolean> =>
    askHost(control, 'status').then(
      () => true,
      () => false,
    );
  while (await answers()) {
    if (performance.now() > deadline) {
      throw new UnderstudyError('environment', `Host ${pid} did not end within ${waitMs} ms`, {
        hint: 'see with `understudy host status` which node is left, and look into the log',
      });
    }
    await sleep(lookEveryMs);
  }
  const nodes = keepNodes ? '; its nodes go on' : '';
  process.stdout.write(`host ${pid} has ended${nodes}\n`);
}

const lookEveryMs = 50;

const runDirOf = ({ dir, runDir }: Places): string =>
  runDir === undefined ? defaultHostRunDir(path.resolve(dir)) : path.resolve(runDir);

const controlOf = (places: Places): string => controlOfHost(runDirOf(places));

function nodeLine(status: HostedNodeStatus): string {
  const { pair, node, pid, role, state, term, reason, restarts, changed } = status;
  const said = role === undefined ? status.process : `${role}, ${state}, term ${term}`;
  const is = status.process === 'stopping' ? `stopping: ${said}` : said;
  return [
    `${pair}/${node}: ${is}${reason === undefined ? '' : `: ${reason}`}`,
    ...(pid === undefined ? [] : [`pid ${pid}`]),
    `restarts ${restarts}`,
    ...(changed ? ['its file has changed'] : []),
  ].join(', ');
}

const concernLine = ({ about, since, problem }: Concern): string =>
  `  ${about}, since ${since}: ${problem}`;
