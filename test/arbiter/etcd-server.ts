/** A real etcd of one member, on loopback, in a directory that is removed afterwards. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChildServer } from './child-server.ts';
import { freePort } from './lossy-proxy.ts';
import type { ArbiterServer } from './network-contract.ts';

export interface EtcdServer extends ArbiterServer {
  readonly url: string;
}

export interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function hasEtcd(): boolean {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

/** Not started yet. */
export async function createEtcd(tls?: EtcdTls): Promise<EtcdServer> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'understudy-etcd-'));
  const [port, peerPort] = [await freePort(), await freePort()];
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const name = path.basename(directory); // makes the identity of the cluster
  const child = new ChildServer({
    command: 'etcd',
    args: [
      ...['--name', name, '--data-dir', directory, '--log-level', 'error', '--logger', 'zap'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `${name}=${peerUrl}`, '--initial-cluster-token', name],
      ...(tls === undefined
        ? []
        : ['--client-cert-auth', '--trusted-ca-file', tls.ca]
            .concat(['--cert-file', tls.cert])
            .concat(['--key-file', tls.key])),
    ],
    ready: async () => {
      while (!(await accepts(url))) await sleep(20);
    },
  });
  return Object.assign(child, {
    url,
    port,
    cleanUp: async () => {
      await child.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

/** True when something speaks HTTP there; with TLS, when it asks for our certificate. */
function accepts(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { request } = url.startsWith('https:') ? https : http;
    const asked = request(`${url}/health`, { rejectUnauthorized: false, agent: false });
    asked.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
    asked.end();
  });
}
