/** Commands typed at the console of a soak's guest, through its node's control socket. */
import { connectControl } from '../../src/observe/control-client.ts';
import { Terminal } from '../../test/qemu/harness/terminal.ts';

/** A console that was flooded has a backlog. */
const consoleMs = 30_000;

/** What the command printed, and a last line of ours. Throws when it does not end. */
export async function runInGuest(control: string, command: string): Promise<string> {
  const socket = await connectControl(control);
  try {
    const terminal = new Terminal((text) => socket.write(text));
    socket.on('error', () => undefined); // told by what does not come
    socket.on('data', (bytes: Buffer) => terminal.take(bytes));
    socket.write('{"command":"console"}\n');
    // What was printed before comes first, and may hold the answers to earlier commands.
    const begin = `begin-${process.hrtime.bigint()}`;
    const said = await terminal.run(`echo ${begin.replace('-', "-''")}; ${command}`, consoleMs);
    return said.slice(said.lastIndexOf(begin) + begin.length);
  } finally {
    socket.destroy();
  }
}
