/**
 * Watches which host the guest's frames come from; runs in the namespace of the outside world.
 *
 *     guest-capture-main MAC INTERFACE...
 *
 * One packet socket takes what arrives on all uplinks, so the order in which it tells frames is the
 * order in which they arrived, however late this process is. A line on its input is answered by one
 * line of JSON with all that was seen (guest-capture.ts). It ends at the end of its input.
 */
import { createInterface } from 'node:readline';
import koffi from 'koffi';
import type { SpeakerRun } from './guest-capture.ts';

// Linux on x86-64 and arm64: the numbers are the same on both.
const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
const ETH_P_ALL_BIG_ENDIAN = 0x0300;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const SOCKADDR_LL_BYTES = 20;
const SOCKADDR_LL_IFINDEX_AT = 4;
const ETHERNET_BYTES = 14;
const SOURCE_AT = 6;
const RECEIVE_BYTES = 16 << 20;
/** Nobody waits for a frame: it is only that the socket may not run full. */
const DRAIN_MS = 5;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, int *value, uint32_t n)');
const recvfrom = libc.func(
  'int64_t recvfrom(int fd, void *to, uint64_t n, int flags, void *from, _Inout_ uint32_t *fromN)',
);
const indexOf = libc.func('uint32_t if_nametoindex(const char *name)');

function check(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

function openSocket(): number {
  const fd = check(socket(AF_PACKET, SOCK_RAW_NONBLOCK, ETH_P_ALL_BIG_ENDIAN), 'socket');
  check(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, [1], 4), 'PACKET_IGNORE_OUTGOING');
  check(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, [RECEIVE_BYTES], 4), 'SO_RCVBUFFORCE');
  return fd;
}

const [mac = '', ...interfaces] = process.argv.slice(2);
const guest = Buffer.from(mac.replaceAll(':', ''), 'hex');
const uplinks = new Map(interfaces.map((name) => [indexOf(name) as number, name]));
const fd = openSocket();
const head = Buffer.alloc(ETHERNET_BYTES);
const from = Buffer.alloc(SOCKADDR_LL_BYTES);
const runs: { -readonly [key in keyof SpeakerRun]: SpeakerRun[key] }[] = [];

function drain(): void {
  const atMs = performance.timeOrigin + performance.now();
  while (recvfrom(fd, head, head.length, 0, from, [from.length]) >= 0) {
    const uplink = uplinks.get(from.readInt32LE(SOCKADDR_LL_IFINDEX_AT));
    if (uplink === undefined || head.compare(guest, 0, 6, SOURCE_AT, SOURCE_AT + 6) !== 0) continue;
    let run = runs.at(-1);
    if (run?.uplink !== uplink) {
      run = { uplink, frames: 0, firstAtMs: atMs, lastAtMs: atMs };
      runs.push(run);
    }
    run.frames += 1;
    run.lastAtMs = atMs;
  }
}

setInterval(drain, DRAIN_MS);
const input = createInterface({ input: process.stdin });
input.on('line', () => {
  drain();
  process.stdout.write(`${JSON.stringify(runs)}\n`);
});
input.on('close', () => process.exit());
