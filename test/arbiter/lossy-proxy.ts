/** A TCP relay that loses what a test tells it to: questions arrive, answers do not. */
import net from 'node:net';

type Loss =
  | 'nothing'
  /** The connection is reset when an answer comes. */
  | 'answersByReset'
  /** Answers vanish, and the connection stays open. */
  | 'answersInSilence'
  /** Nothing is passed on in either direction. */
  | 'everything';

export interface LossyProxy {
  readonly port: number;
  /** From now on, also for connections that are open. */
  lose(what: Loss): void;
  /** Answers that came and were lost. */
  readonly lost: number;
  close(): Promise<void>;
}

export async function startLossyProxy(targetPort: number): Promise<LossyProxy> {
  const sockets = new Set<net.Socket>();
  let loss: Loss = 'nothing';
  let lost = 0;
  const server = net.createServer((client) => {
    const upstream = net.connect({ port: targetPort, host: '127.0.0.1' });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (loss !== 'everything') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (loss === 'nothing') client.write(bytes);
      else {
        lost += 1;
        if (loss === 'answersByReset') client.resetAndDestroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    lose: (what) => {
      loss = what;
    },
    get lost() {
      return lost;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port that nothing listens on, for now. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
