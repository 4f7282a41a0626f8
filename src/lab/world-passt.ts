/**
 * The world without rights: passt, a gateway in user space, and forwarded ports on loopback.
 *
 * passt serves one client at a time, and loses what it sends while there is none: a hub of our own
 * (frame-hub.ts) stands between it and the nodes. passt learns the guest's MAC from frames, and a
 * guest drops what is not sent to its MAC: so a node announces its guest also at its first opening.
 *
 * Started as root, passt becomes `nobody` by itself; its folder is given to that user before.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UnderstudyError } from '../base/errors.ts';
import { endChild } from './child.ts';
import type { Endpoint } from './endpoint.ts';
import { FrameHub } from './frame-hub.ts';
import { guestNet } from './guest-net.ts';
import { demoLimits } from './limits.ts';
import { isStale, ownerName } from './owner.ts';
import type { World, WorldChild } from './world.ts';
import { WorldChildren } from './world-children.ts';

const LOOPBACK = '127.0.0.1';
const NOBODY = 65_534;
type Passt = ChildProcessByStdio<null, null, Readable>;

export async function openPasstWorld(nodes: readonly string[]): Promise<World> {
  removeStale();
  const folder = join(tmpdir(), ownerName());
  mkdirSync(folder, { mode: 0o700 });
  try {
    if (process.getuid?.() === 0) chownSync(folder, NOBODY, NOBODY);
    const http = { host: LOOPBACK, port: await freePort() };
    const echo = { host: LOOPBACK, port: await freePort() };
    const socket = join(folder, 'passt.sock');
    const passt = await startPasst(socket, join(folder, 'pid'), http.port, echo.port);
    try {
      const hubSocket = join(folder, 'hub.sock');
      const hub = await FrameHub.open(socket, hubSocket);
      return new PasstWorld({ folder, hubSocket, passt, hub, http, echo }, nodes);
    } catch (error) {
      await endChild(passt);
      throw error;
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startPasst(socket: string, pidFile: string, http: number, echo: number) {
  const passt: Passt = spawn(
    'passt',
    [
      // To a pipe on stderr it logs unasked.
      ...['--foreground', '--quiet', '--socket', socket, '--pid', pidFile],
      ...['--address', guestNet.address, '--netmask', guestNet.netmask],
      ...['--gateway', guestNet.gateway, '--mtu', '1500'],
      ...['--no-dhcp', '--no-dhcpv6', '--no-ndp', '--no-ra', '--udp-ports', 'none'],
      ...['--tcp-ports', `${LOOPBACK}/${http}:${guestNet.httpPort}`],
      ...['--tcp-ports', `${LOOPBACK}/${echo}:${guestNet.echoPort}`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  passt.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  let failed: Error | undefined;
  passt.on('error', (error) => {
    failed = error;
  });
  passt.on('exit', (code) => {
    failed ??= new Error(`passt ended with ${code}: ${said.trim()}`);
  });
  const endMs = performance.now() + demoLimits.passtStartMs;
  while (!existsSync(socket)) {
    if (failed !== undefined || performance.now() > endMs) {
      await endChild(passt);
      throw new UnderstudyError('environment', 'Cannot start passt, the outside of the demo', {
        cause: failed ?? new Error('its socket did not appear'),
        hint: 'install passt, or run as root to use a network namespace instead',
      });
    }
    await sleep(10);
  }
  return passt;
}

/** A port that was free a moment ago; passt fails clearly if somebody took it since. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error) => reject(asError(error)));
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Ends the passt of each demo that is no more, and removes its folder. */
function removeStale(): void {
  for (const name of readdirSync(tmpdir()).filter(isStale)) {
    const folder = join(tmpdir(), name);
    try {
      const pid = Number(readFileSync(join(folder, 'pid'), 'latin1'));
      // The id may belong to somebody else by now: its command line must name this folder.
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder)) process.kill(pid);
    } catch {
      // it is gone, or not ours to end
    }
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // somebody else's; it does not disturb us
    }
  }
}

interface PasstParts {
  readonly folder: string;
  readonly hubSocket: string;
  readonly passt: Passt;
  readonly hub: FrameHub;
  readonly http: Endpoint;
  readonly echo: Endpoint;
}

class PasstWorld implements World {
  readonly kind = 'passt';
  readonly canPing = false;
  readonly pingHost = undefined;
  readonly http: Endpoint;
  readonly echo: Endpoint;
  readonly egressSpecs: readonly string[];
  readonly #parts: PasstParts;
  readonly #children = new WorldChildren(() => this.#takeDown());

  constructor(parts: PasstParts, nodes: readonly string[]) {
    this.#parts = parts;
    this.http = parts.http;
    this.echo = parts.echo;
    this.egressSpecs = nodes.map(() => `stream:${parts.hubSocket}`);
  }

  spawn(command: string, args: readonly string[]): WorldChild {
    return this.#children.spawn(command, args);
  }

  close(): Promise<void> {
    return this.#children.close();
  }

  async #takeDown(): Promise<void> {
    await this.#parts.hub.close();
    await endChild(this.#parts.passt);
    rmSync(this.#parts.folder, { recursive: true, force: true });
  }
}
