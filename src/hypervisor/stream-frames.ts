export function encodeStreamFrame(frame: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(4 + frame.length);
  framed.writeUInt32BE(frame.length);
  frame.copy(framed, 4);
  return framed;
}
