/** Commands typed at the console of a soak's guest, through its node's control socket. */
import { connectControl } from '../../src/observe/control-client.ts';
import { Terminal } from '../../test/qemu/harness/terminal.ts';

/** A console that was flooded has a backlog. */
const consoleMs = 30_000;

/** What was printed from then on, the command's echo included. Throws when it does not end. */
export async function runInGuest(control: string, command: string): Promise<string> {
  const socket = await connectControl(control);
  try {
    const terminal = new Terminal((text) => socket.write(text));
    socket.on('error', () => undefined); // told by what does not come
    socket.on('data', (bytes: Buffer) => terminal.take(bytes));
    socket.write('{"command":"console"}\n');
    return await terminal.run(command, consoleMs);
  } finally {
    socket.destroy();
  }
}
