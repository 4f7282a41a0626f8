/**
 * The stream of a node's events. Apart from the rest of the client, because rxjs takes long to
 * load.
 */
import type net from 'node:net';
import { Observable } from 'rxjs';
import { connectControl, lines, type WatchEvent } from './control-client.ts';

/** The events of a node until it ends; completes then. Errors when it cannot be reached. */
export function watchNode(path: string): Observable<WatchEvent> {
  return new Observable((subscriber) => {
    let socket: net.Socket | undefined;
    connectControl(path).then(
      (connected) => {
        socket = connected;
        if (subscriber.closed) {
          socket.destroy();
          return;
        }
        socket.on('error', () => socket?.destroy());
        socket.on('close', () => subscriber.complete());
        lines(socket, (line) => subscriber.next(JSON.parse(line) as WatchEvent));
        socket.write('{"command":"watch"}\n');
      },
      (error: unknown) => subscriber.error(error),
    );
    return () => socket?.destroy();
  });
}
