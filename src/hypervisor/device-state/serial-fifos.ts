/**
 * The serial port's FIFOs in a saved state, without what a guest can never see of them.
 *
 * Each is a ring of sixteen bytes: the bytes, where the first valid one is, how many are valid
 * (`vmstate_fifo8`, util/fifo8.c). An empty one is not saved at all (hw/char/serial.c), so a
 * machine that was loaded begins an empty ring at 0, with no stale bytes in it, while the machine
 * that it was saved from goes on where it was. From then on their rings are turned against each
 * other, and hold the same.
 */

const fifos = ['serial/recv_fifo', 'serial/xmit_fifo'];

/** Bytes of one ring; `UART_FIFO_LENGTH`. */
const ringBytes = 16;

/** The section's data, each FIFO in it begun at 0 and empty behind its valid bytes. */
export function withFifosUnrolled(data: Buffer): Buffer {
  const unrolled = Buffer.from(data);
  for (const name of fifos) {
    const nameAt = data.indexOf(name, 0, 'latin1');
    if (nameAt === -1) continue;
    const ringAt = nameAt + name.length + 4; // behind the subsection's version
    const headAt = ringAt + ringBytes;
    if (headAt + 8 > data.length) continue; // cut off: compared as it is
    const ring = data.subarray(ringAt, headAt);
    const head = data.readUInt32BE(headAt) % ringBytes;
    const valid = Math.min(data.readUInt32BE(headAt + 4), ringBytes);
    unrolled.fill(0, ringAt, headAt + 4);
    Buffer.concat([ring, ring]).copy(unrolled, ringAt, head, head + valid);
  }
  return unrolled;
}
