/** Whether the log that a QEMU writes is known, and whether one that reads it starts. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { OwnedProcess } from '../../host/processes.ts';
import { checkVersion, headerBytes, layoutFor } from '../../rrlog/layouts.ts';
import { type Probe, probeMachine, startProbe } from './probe.ts';
import { qemuVersion } from './version.ts';

/**
 * Ends the recorder, as QEMU writes the header of a log when it ends, and starts a replayer with
 * what it recorded. Returns what was found.
 *
 * @throws what is wrong.
 */
export async function replayRecorded(
  recorder: Probe,
  { command, dir }: { readonly command: string; readonly dir: string },
  children: OwnedProcess[],
): Promise<string> {
  await recorder.monitor.execute('quit');
  await recorder.child.exited;
  const header = readFileSync(path.join(dir, 'log'));
  if (header.length < headerBytes) throw new Error(`a log of ${header.length} bytes was recorded`);
  const word = header.readUInt32BE(0);
  checkVersion(layoutFor((await qemuVersion(command)).logLayout), word);
  const socket = path.join(dir, 'replay-qmp');
  const args = probeMachine('replay', dir, socket);
  const { monitor } = await startProbe({ name: 'replay', command, args, dir, socket }, children);
  const { mode } = await monitor.execute<{ mode: string }>('query-replay');
  monitor.close();
  if (mode !== 'play') throw new Error(`a machine that shall replay is in mode '${mode}'`);
  return `its version is 0x${word.toString(16)}, and a machine that replays it starts`;
}
