/**
 * How long a claim takes: a read and a compare-and-set, one after the other, as a node does it.
 * Each arbiter is asked on this machine, so a network adds its round trips: two for a claim over a
 * fresh connection and one more to open it, two more with TLS.
 *
 *   npm run bench -- arbiter [--json] [--claims N]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type OpenedArbiter, openArbiter } from '../src/arbiter/open.ts';
import { parseArbiterSpec } from '../src/arbiter/spec.ts';
import { startWitness } from '../src/arbiter/witness-server.ts';
import { term } from '../src/base/units.ts';

interface Figures {
  readonly arbiter: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** With a new connection for each claim, as at a takeover. */
  readonly firstMs: number;
}

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, claims: { type: 'string', default: '300' } },
});
const claims = Number(values.claims);
const scratch = mkdtempSync(path.join(os.tmpdir(), 'understudy-bench-'));
const secretFile = path.join(scratch, 'secret');
writeFileSync(secretFile, 'a secret of the benchmark, long enough\n', { mode: 0o600 });

async function claimMs(arbiter: OpenedArbiter): Promise<number> {
  const start = performance.now();
  const current = await arbiter.read();
  const next = { term: term((current?.term ?? 0) + 1), holder: 'bench' };
  const { won } = await arbiter.compareAndSet(current, next);
  if (!won) throw new Error('a claim without a rival was lost');
  return performance.now() - start;
}

async function measure(name: string, spec: string, auth = {}): Promise<Figures> {
  const open = () => openArbiter(parseArbiterSpec(spec, scratch), { pair: 'bench', auth });
  const arbiter = await open();
  await arbiter.setUp();
  for (let i = 0; i < 20; i += 1) await claimMs(arbiter); // warm up
  const times: number[] = [];
  for (let i = 0; i < claims; i += 1) times.push(await claimMs(arbiter));
  await arbiter.close();
  const first: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const fresh = await open();
    first.push(await claimMs(fresh));
    await fresh.close();
  }
  return {
    arbiter: name,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
    firstMs: quantile(first, 0.5),
  };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * part));
  return Math.round((sorted[at] ?? Number.NaN) * 100) / 100;
}

async function measureWitness(secret?: Buffer): Promise<Figures> {
  const name = secret === undefined ? 'http' : 'http, secret';
  const witness = await startWitness({
    host: '127.0.0.1',
    port: 0,
    directory: path.join(scratch, name),
    ...(secret === undefined ? {} : { secret }),
  });
  const auth = secret === undefined ? {} : { secret: secretFile };
  const figures = await measure(name, witness.url, auth);
  await witness.close();
  return figures;
}

/** `undefined` when etcd is not installed. */
async function measureEtcd(): Promise<Figures | undefined> {
  const [port, peerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const etcd = spawn(
    'etcd',
    [
      ...['--data-dir', path.join(scratch, 'etcd'), '--log-level', 'error', '--logger', 'zap'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    { stdio: 'ignore' },
  );
  const gone = new Promise<void>((resolve) => etcd.once('close', () => resolve()));
  const isMissing = await new Promise<boolean>((resolve) => {
    etcd.once('error', () => resolve(true));
    etcd.once('spawn', () => resolve(false));
  });
  if (isMissing) return undefined;
  try {
    while (!(await fetch(`${url}/health`).catch(() => undefined))?.ok) await sleep(20);
    return await measure('etcd, one member', `etcd:${url}`);
  } finally {
    etcd.kill();
    await gone;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

try {
  const all = [
    await measure('file', 'file:terms'),
    await measureWitness(),
    await measureWitness(Buffer.from('a secret of the benchmark, long enough')),
    await measureEtcd(),
  ].filter((figures) => figures !== undefined);
  if (values.json === true) process.stdout.write(`${JSON.stringify(all)}\n`);
  else console.table(all);
} finally {
  rmSync(scratch, { recursive: true });
}
