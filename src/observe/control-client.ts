/** Talks to a node's control socket. The stream of its events is in `watch-node.ts`. */
import net from 'node:net';
import { createInterface } from 'node:readline';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { NodeStatus } from '../node/control-server.ts';
import type { NodeEvent } from '../node/report.ts';

/** What `watch` delivers: the status at its start, then events. */
export type WatchEvent = NodeEvent | ({ readonly type: 'status' } & NodeStatus);

export function connectControl(path: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) =>
      reject(
        new UnderstudyError('link', `No node answers on '${path}'`, {
          cause: asError(error),
          hint: 'start it with `understudy node`, as the same user',
        }),
      ),
    );
  });
}

/** Sends one command, with what it needs to know, and returns the one line that answers it. */
export async function askNode<T>(
  path: string,
  command: string,
  more: Readonly<Record<string, string | number>> = {},
): Promise<T> {
  const socket = await connectControl(path);
  try {
    const answer = new Promise<string>((resolve, reject) => {
      lines(socket, resolve);
      socket.on('error', reject);
      socket.once('close', () => reject(new UnderstudyError('link', 'The node went away')));
    });
    socket.write(`${JSON.stringify({ command, ...more })}\n`);
    return JSON.parse(await answer) as T;
  } finally {
    socket.destroy();
  }
}

/** Calls `take` for each line. readline tells a socket's errors once more; ours has listeners. */
export function lines(socket: net.Socket, take: (line: string) => void): void {
  createInterface({ input: socket })
    .on('line', take)
    .on('error', () => undefined);
}
