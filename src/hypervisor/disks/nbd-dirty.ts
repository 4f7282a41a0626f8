/**
 * Reads a dirty bitmap that a storage daemon exports: which parts of a disk were written.
 *
 * The NBD protocol has a command for it, BLOCK_STATUS, with the metadata context
 * `qemu:dirty-bitmap:NAME`. This is the little of a client that it needs; all numbers are
 * big-endian, the layouts are those of the protocol's document (doc/proto.md of NBD).
 *
 *   option        "IHAVEOPT" u64 | option u32 | length u32 | data
 *   its reply     0x3e889045565a9 u64 | option u32 | type u32 | length u32 | data
 *   request       0x25609513 u32 | flags u16 | type u16 | cookie u64 | offset u64 | length u32
 *   reply chunk   0x668e33ef u32 | flags u16 | type u16 | cookie u64 | length u32 | data
 *   block status  context u32 | (length u32 | flags u32)...      flags: bit 0 = dirty
 *
 * Why a client of our own: a dirty bitmap has no other way out of the daemon that keeps its
 * extents, and the tools that read it report it in fields that mean something else.
 */
import net from 'node:net';
import { asError, UnderstudyError } from '../../base/errors.ts';
import type { Extent } from '../../host/libc.ts';
import { hypervisorLimits } from '../limits.ts';

export interface DirtyBitmapAddress {
  readonly socket: string;
  readonly exportName: string;
  readonly bitmap: string;
  /** Size of the disk. */
  readonly bytes: number;
}

const serverMagic = Buffer.from('NBDMAGICIHAVEOPT', 'latin1');
const optionReplyMagic = 0x3e889045565a9n;
const requestMagic = 0x25609513;
const chunkMagic = 0x668e33ef;
const options = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
const acknowledged = 1;
const errorBit = 0x8000_0000;
const commands = { disconnect: 2, blockStatus: 7 } as const;
const blockStatusChunk = 5;
const chunkErrorBit = 0x8000;
const doneFlag = 1;
const dirtyFlag = 1;
const optionReplyHeadBytes = 20;
const chunkHeadBytes = 20;
const requestBytes = 28;

/** Dirty runs in ascending order, joined where they touch. Throws `disk`. */
export async function readDirtyExtents(address: DirtyBitmapAddress): Promise<Extent[]> {
  const socket = net.connect(address.socket);
  socket.setTimeout(hypervisorLimits.commandMs, () => {
    socket.destroy(new Error(`no answer within ${hypervisorLimits.commandMs} ms`));
  });
  try {
    const reader = new Reader(socket);
    await negotiate(socket, reader, address);
    const extents: Extent[] = [];
    for (let offset = 0; offset < address.bytes; ) {
      offset = await askStatus(socket, reader, { offset, to: address.bytes }, extents);
    }
    socket.end(request(commands.disconnect, 0, 0));
    return extents;
  } catch (thrown) {
    throw new UnderstudyError(
      'disk',
      `Cannot read dirty bitmap '${address.bitmap}' of disk '${address.exportName}'`,
      { cause: asError(thrown), hint: 'look at the stderr of the storage daemon' },
    );
  } finally {
    socket.destroy();
  }
}

async function negotiate(
  socket: net.Socket,
  reader: Reader,
  { exportName, bitmap }: DirtyBitmapAddress,
): Promise<void> {
  const greeting = await reader.take(serverMagic.length + 2);
  if (!greeting.subarray(0, serverMagic.length).equals(serverMagic)) {
    throw new Error('it is no NBD server of the fixed newstyle');
  }
  // Fixed newstyle, no padding behind the export's description.
  socket.write(u32(3));
  await option(socket, reader, options.structuredReply, Buffer.alloc(0));
  const name = lengthAndText(exportName);
  const context = lengthAndText(`qemu:dirty-bitmap:${bitmap}`);
  const found = await option(
    socket,
    reader,
    options.setMetaContext,
    Buffer.concat([name, u32(1), context]),
  );
  if (found === 0) throw new Error('the export has no such bitmap');
  await option(socket, reader, options.go, Buffer.concat([name, Buffer.alloc(2)]));
}

/** Sends an option and waits for its acknowledgement. Returns how many replies came before. */
async function option(
  socket: net.Socket,
  reader: Reader,
  number: number,
  data: Buffer,
): Promise<number> {
  socket.write(Buffer.concat([serverMagic.subarray(8), u32(number), u32(data.length), data]));
  for (let replies = 0; ; replies += 1) {
    const head = await reader.take(optionReplyHeadBytes);
    if (head.readBigUInt64BE(0) !== optionReplyMagic || head.readUInt32BE(8) !== number) {
      throw new Error('an answer to an option is damaged');
    }
    const type = head.readUInt32BE(12);
    const text = await reader.take(head.readUInt32BE(16));
    if (type >= errorBit) throw new Error(`option ${number} was refused: ${text.toString('utf8')}`);
    if (type === acknowledged) return replies;
  }
}

/** Adds the dirty runs from `offset` on, as far as one answer goes. Returns where it ended. */
async function askStatus(
  socket: net.Socket,
  reader: Reader,
  range: { readonly offset: number; readonly to: number },
  extents: Extent[],
): Promise<number> {
  const length = Math.min(range.to - range.offset, hypervisorLimits.nbdStatusBytes);
  socket.write(request(commands.blockStatus, range.offset, length));
  let at = range.offset;
  for (;;) {
    const head = await reader.take(chunkHeadBytes);
    if (head.readUInt32BE(0) !== chunkMagic) throw new Error('an answer to a request is damaged');
    const type = head.readUInt16BE(6);
    const data = await reader.take(head.readUInt32BE(16));
    if ((type & chunkErrorBit) !== 0) {
      throw new Error(`it answered with error ${data.readUInt32BE(0)}`);
    }
    if (type === blockStatusChunk) {
      for (let field = 4; field < data.length; field += 8) {
        // The last run may go on behind what was asked for.
        const to = Math.min(range.to, at + data.readUInt32BE(field));
        if ((data.readUInt32BE(field + 4) & dirtyFlag) !== 0) append(extents, at, to);
        at = to;
      }
    }
    if ((head.readUInt16BE(4) & doneFlag) !== 0) break;
  }
  if (at === range.offset) throw new Error('it described nothing');
  return at;
}

function append(extents: Extent[], from: number, to: number): void {
  const last = extents.at(-1);
  if (last?.to === from) extents[extents.length - 1] = { from: last.from, to };
  else extents.push({ from, to });
}

function request(type: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(requestBytes);
  bytes.writeUInt32BE(requestMagic, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

function lengthAndText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** Bytes of a socket, in pieces of a wanted length. */
class Reader {
  readonly #bytes: AsyncIterator<Buffer>;
  #rest = Buffer.alloc(0);

  constructor(socket: net.Socket) {
    this.#bytes = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async take(length: number): Promise<Buffer> {
    if (length > hypervisorLimits.nbdReplyBytes) {
      throw new Error(`it announced ${length} bytes at once`);
    }
    while (this.#rest.length < length) {
      const next = await this.#bytes.next();
      if (next.done === true) throw new Error('it closed the connection');
      this.#rest = Buffer.concat([this.#rest, next.value]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}
