/** A TCP relay that a test can cut: to see a connection break without a word. */
import net from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Resets every connection. */
  break(): void;
  /** Ends what flows from the client to the server, and keeps the other direction. */
  endForward(): void;
  close(): void;
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const sockets: net.Socket[] = [];
  const forward: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
    }
    client.pipe(upstream);
    upstream.pipe(client);
    sockets.push(client, upstream);
    forward.push(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const reset = (): void => {
    for (const socket of sockets.splice(0)) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    break: reset,
    endForward: () => {
      for (const socket of forward) socket.end();
    },
    close: () => {
      reset();
      server.close();
    },
  };
}
