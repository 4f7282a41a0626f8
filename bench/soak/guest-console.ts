/** Commands on the console of a soak's guest, through its node's control socket. */
import { connectControl } from '../../src/observe/control-client.ts';
import { Terminal } from '../../test/qemu/harness/terminal.ts';

/** A console that was flooded has a backlog. */
const consoleMs = 30_000;

/** What a command printed, and a last line of ours. Throws when the guest does not answer. */
export function runOnConsole(control: string, command: string): Promise<string> {
  return onConsole(control, async (terminal) => {
    // What was printed before comes first, and may hold the answers to earlier commands. The quotes
    // keep the echo of the command from being taken for its begin.
    const begin = `begin-${process.hrtime.bigint()}`;
    const said = await terminal.run(`echo ${begin.replace('-', "-''")}; ${command}`, consoleMs);
    return said.slice(said.lastIndexOf(begin) + begin.length);
  });
}

/** Waits for a text on the console, one that is there already included. Throws when late. */
export function awaitOnConsole(control: string, text: string, deadlineMs: number): Promise<string> {
  return onConsole(control, (terminal) => terminal.until(text, deadlineMs));
}

async function onConsole<T>(control: string, work: (terminal: Terminal) => Promise<T>): Promise<T> {
  const socket = await connectControl(control);
  try {
    const terminal = new Terminal((text) => socket.write(text));
    socket.on('error', () => undefined); // told by what does not come
    socket.on('data', (bytes: Buffer) => terminal.take(bytes));
    socket.write('{"command":"console"}\n');
    return await work(terminal);
  } finally {
    socket.destroy();
  }
}
