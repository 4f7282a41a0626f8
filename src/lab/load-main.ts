/**
 * The load as a program of its own, so that it can run in another network namespace.
 *
 *     load-main --http HOST:PORT [--echo HOST:PORT] [--ping HOST] --run NAME
 *               [--readers N] [--counters N] [--pause MS]
 *
 * Says newline-delimited JSON (load-record.ts). Ends, with the record as its last line, on SIGTERM,
 * SIGINT, a line `stop` on its input, or the end of its input: it never outlives its parent.
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../base/errors.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { demoLimits } from './limits.ts';
import { Load, type LoadOptions } from './load.ts';
import type { LoadLine } from './load-record.ts';

function readOptions(): LoadOptions {
  const { values } = parseArgs({
    options: {
      http: { type: 'string' },
      echo: { type: 'string' },
      ping: { type: 'string' },
      run: { type: 'string', default: `run${process.pid}` },
      readers: { type: 'string', default: '4' },
      counters: { type: 'string', default: '2' },
      pause: { type: 'string' },
    },
  });
  return {
    http: endpoint('--http', values.http),
    ...(values.echo === undefined ? {} : { echo: endpoint('--echo', values.echo) }),
    ...(values.ping === undefined ? {} : { pingHost: values.ping }),
    runName: values.run,
    readers: count('--readers', values.readers),
    counters: count('--counters', values.counters),
    ...(values.pause === undefined ? {} : { pauseMs: count('--pause', values.pause) }),
  };
}

function endpoint(option: string, text: string | undefined): Endpoint {
  const parsed = parseEndpoint(text ?? '');
  if (parsed !== undefined) return parsed;
  throw new UnderstudyError('config', `${option} must be HOST:PORT: current value is '${text}'`);
}

function count(option: string, text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new UnderstudyError('config', `${option} must be 0 to 999: current value is '${text}'`);
}

function say(line: LoadLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function main(): void {
  const load = new Load({
    ...readOptions(),
    onFailure: (failure) => say({ type: 'failed', ...failure }),
  });
  const timer = setInterval(() => say(load.stats()), demoLimits.statsMs);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    clearInterval(timer);
    void load.stop().then((record) => {
      say(record);
      input.close();
      process.stdin.destroy();
    });
  };
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    if (line.trim() === 'stop') stop();
  });
  input.on('close', stop);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.stdout.on('error', stop); // the parent is gone
}

try {
  main();
} catch (error) {
  if (!(error instanceof UnderstudyError)) throw error;
  process.stderr.write(`${error.describe()}\n`);
  process.exitCode = 2;
}
