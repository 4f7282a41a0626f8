/**
 * Loaded into a witness before it starts (--import): at one step of writing a term it dies, or the
 * disk is full. UNDERSTUDY_TEST_FAULT is STEP:kill, STEP:ENOSPC, ...; it acts on the first term
 * that is written, and on no later start with another value.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [step = '', what = ''] = (process.env.UNDERSTUDY_TEST_FAULT ?? '').split(':');

function fault(at: string): void {
  if (at !== step) return;
  if (what === 'kill') {
    process.kill(process.pid, 'SIGKILL');
    // The signal may need a moment; nothing more may be done until it comes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
  throw Object.assign(new Error(`${what}: a fault on purpose`), { code: what });
}

const isTerm = (file: unknown): boolean => String(file).includes('.new-');
let linked = false;
const { writeFile, link, unlink, open } = fs;

fs.writeFile = async (...args: Parameters<typeof writeFile>) => {
  if (!isTerm(args[0])) return writeFile(...args);
  fault('before-write');
  if (step === 'torn-write') {
    // As much as a kill in the middle of write(2) leaves.
    await writeFile(args[0], String(args[1]).slice(0, 20), { flag: 'wx', mode: 0o600 });
    fault('torn-write');
  }
  await writeFile(...args);
  fault('after-write');
};
fs.link = async (...args: Parameters<typeof link>) => {
  fault('before-link');
  await link(...args);
  linked = true;
  fault('after-link');
};
fs.unlink = async (...args: Parameters<typeof unlink>) => {
  await unlink(...args);
  if (isTerm(args[0])) fault('after-unlink');
};
fs.open = async (...args: Parameters<typeof open>) => {
  const handle = await open(...args);
  const sync = handle.sync.bind(handle);
  handle.sync = async () => {
    if (linked) fault('flush');
    await sync();
    if (linked) fault('after-flush');
  };
  return handle;
};
syncBuiltinESMExports();
