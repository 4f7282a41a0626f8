/** The console of a recorder without a node: typed at the pace of its log. */

import type { Recorder } from '../../../src/hypervisor/record/recorder.ts';
import { SerialInput } from '../../../src/hypervisor/record/serial-input.ts';
import { noEpoch } from '../../../src/rrlog/marker.ts';
import { Terminal } from './terminal.ts';

/** `input` is to be told what the log says was delivered, and that the machine is gone. */
export function consoleOf(recorder: Recorder): {
  readonly terminal: Terminal;
  readonly input: SerialInput;
} {
  const [pipe] = recorder.instance.serials;
  if (pipe === undefined) throw new Error('a machine without a console');
  const input = new SerialInput({ pipe, pushLog: () => recorder.sendMarker(noEpoch) });
  const terminal = new Terminal((text) => void input.type(Buffer.from(text)));
  pipe.output.on('data', (bytes: Buffer) => terminal.take(bytes));
  return { terminal, input };
}
