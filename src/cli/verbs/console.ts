/** The guest's serial console, attached to this terminal. */
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { connectControl } from '../../observe/control-client.ts';

export interface ConsoleOptions {
  readonly pair: string;
  readonly name: string;
}

const leaveKey = 0x1d;

/** Until Ctrl-], or until the node closes it. */
export async function attach({ pair, name }: ConsoleOptions): Promise<void> {
  const { self } = loadPairConfig(pair, name);
  const socket = await connectControl(`${self.runDir}/control`);
  socket.write('{"command":"console"}\n');
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
