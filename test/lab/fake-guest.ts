// A guest's services in a few lines, misbehaving on demand.
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../../src/lab/endpoint.ts';

export class FakeGuest {
  readonly journal: string[] = [];
  readonly echoSockets = new Set<Socket>();
  ledger = 0;
  value = 0;
  /** What the next count does wrong. */
  nextCount: 'reset' | 'count twice' | 'forget' | 'nonsense' | 'status 507' | undefined;
  /** What the next read does wrong. */
  nextRead: 'reset' | 'silence' | 'cut short' | undefined;
  /** Changes what the echo service gives back. */
  echoThrough: (text: string) => string = (text) => text;
  readonly #http: HttpServer;
  readonly #echo = createServer((socket) => {
    this.echoSockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      socket.write(this.echoThrough(chunk.toString('latin1')), 'latin1');
    });
  });

  constructor() {
    this.#http = createHttpServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://guest');
      const answer = (text: string): void => void response.end(text);
      if (url.pathname === '/counter' && request.method === 'POST') {
        const fault = this.nextCount;
        this.nextCount = undefined;
        if (fault === 'reset') return void request.socket.resetAndDestroy();
        if (fault === 'nonsense') return answer('hello');
        if (fault === 'status 507') return void response.writeHead(507).end();
        const token = url.searchParams.get('id') ?? '-';
        this.value += 1;
        if (fault !== 'forget') this.journal.push(`${this.value} ${token}\n`);
        if (fault === 'count twice') this.journal.push(`${++this.value} ${token}\n`);
        return answer(`${this.value}\n`);
      }
      const fault = this.nextRead;
      this.nextRead = undefined;
      if (fault === 'reset') return void request.socket.resetAndDestroy();
      if (fault === 'silence') return undefined;
      if (fault === 'cut short') {
        response.writeHead(200, { 'content-length': 100 });
        response.write('uptime');
        setTimeout(() => request.socket.destroy(), 5);
        return undefined;
      }
      this.ledger += 1;
      return answer(`uptime_ms 5\nledger ${this.ledger}\ncounter ${this.value}\n`);
    });
  }

  async start(): Promise<{ http: Endpoint; echo: Endpoint }> {
    const listen = (server: Server) =>
      new Promise<Endpoint>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          const port = address !== null && typeof address === 'object' ? address.port : 0;
          resolve({ host: '127.0.0.1', port });
        });
      });
    return { http: await listen(this.#http), echo: await listen(this.#echo) };
  }

  async stop(): Promise<void> {
    for (const socket of this.echoSockets) socket.destroy();
    this.#http.closeAllConnections();
    await Promise.all([
      new Promise((resolve) => this.#http.close(resolve)),
      new Promise((resolve) => this.#echo.close(resolve)),
    ]);
  }
}
