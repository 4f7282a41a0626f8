/** The guest's serial console, or another of its ports, attached to this terminal. */
import { consolePort, readVmDescription } from '../../hypervisor/config.ts';
import { noPort } from '../../node/machine/serial-ports.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { connectControl } from '../../observe/control-client.ts';

export interface ConsoleOptions {
  readonly pair: string;
  readonly name: string;
  readonly port?: string;
}

const leaveKey = 0x1d;

/** Until Ctrl-], or until the node closes it. Throws `config` for a port that is not there. */
export async function attach({ pair, name, port = consolePort }: ConsoleOptions): Promise<void> {
  const { self, vmFile } = loadPairConfig(pair, name);
  const names = [consolePort, ...(await readVmDescription(vmFile)).ports];
  if (!names.includes(port)) throw noPort(port, names);
  const socket = await connectControl(`${self.runDir}/control`);
  socket.write(`${JSON.stringify({ command: 'console', port })}\n`);
  const { stdin, stdout } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  socket.on('data', (bytes) => stdout.write(bytes));
  stdin.on('data', (bytes: Buffer) => {
    if (bytes.includes(leaveKey)) socket.end();
    else socket.write(bytes);
  });
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.destroy();
}
