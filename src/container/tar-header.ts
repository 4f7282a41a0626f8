/**
 * Headers of a tar archive, as GNU tar, bsdtar, Go and Docker write them.
 *
 *     offset  bytes
 *          0    100  name            `prefix` and a slash before it, in ustar
 *        100      8  mode            numbers are octal text, or binary with the first bit set
 *        108   8, 8  uid, gid
 *        124     12  size of the content, which follows in blocks of 512 bytes
 *        136     12  time of change, seconds
 *        148      8  sum of all bytes of the header, these as spaces
 *        156      1  type
 *        157    100  target of a link
 *        257      8  "ustar"
 *        329   8, 8  major, minor of a device
 *        345    155  prefix
 *
 * An extended header (pax) is records `LENGTH KEY=VALUE\n`, LENGTH of the whole record.
 */
export const blockBytes = 512;

/** What is wrong with an archive; who knows its name tells it. */
export class TarDamage extends Error {}

export type EntryKind =
  | 'file'
  | 'hardLink'
  | 'symlink'
  | 'char'
  | 'block'
  | 'directory'
  | 'fifo'
  // These say something of the entry behind them.
  | 'pax'
  | 'globalPax'
  | 'longName'
  | 'longLink';

export interface TarHeader {
  readonly kind: EntryKind;
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly bytes: number;
  readonly mtimeSeconds: number;
  /** Empty where there is none. */
  readonly linkName: string;
  readonly device: { readonly major: number; readonly minor: number };
}

const kinds: Readonly<Record<string, EntryKind>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardLink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  x: 'pax',
  g: 'globalPax',
  L: 'longName',
  K: 'longLink',
};

/** Throws `TarDamage` for what is no header, and for what is not understood. */
export function parseHeader(block: Buffer): TarHeader {
  if (!isHeader(block)) throw new TarDamage('a header has a wrong checksum');
  const type = block.toString('latin1', 156, 157);
  const kind = Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  const name = nameOf(block);
  if (kind === undefined) {
    const what = type === 'S' ? 'a sparse file' : `of the unknown type '${type}'`;
    throw new TarDamage(`'${name}' is ${what}`);
  }
  const isOldDirectory = kind === 'file' && name.endsWith('/');
  return {
    kind: isOldDirectory ? 'directory' : kind,
    name,
    mode: numberAt(block, 100, 8) & 0o7777,
    uid: numberAt(block, 108, 8),
    gid: numberAt(block, 116, 8),
    bytes: numberAt(block, 124, 12),
    mtimeSeconds: numberAt(block, 136, 12),
    linkName: textOf(block.subarray(157, 257)),
    device: { major: numberAt(block, 329, 8), minor: numberAt(block, 337, 8) },
  };
}

/** Whether the sum in it is right: that is how an archive is known. */
export function isHeader(block: Buffer): boolean {
  if (block.length < blockBytes) return false;
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1) {
    sum += at >= 148 && at < 156 ? 0x20 : (block[at] as number);
  }
  return (
    /^[ 0]*[0-7]+[ \0]/.test(block.toString('latin1', 148, 156)) && numberAt(block, 148, 8) === sum
  );
}

/** Keys and values of an extended header; values are bytes. Throws `TarDamage`. */
export function parsePax(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, Math.max(space, at)));
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    const isRecord =
      space > at &&
      Number.isSafeInteger(length) &&
      end <= bytes.length &&
      equals > space &&
      equals < end &&
      bytes[end - 1] === 0x0a;
    if (!isRecord) throw new TarDamage('an extended header is damaged');
    records.set(textOf(bytes.subarray(space + 1, equals)), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** Up to the first NUL. Throws `TarDamage` for what is not UTF-8. */
export function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const part = end < 0 ? bytes : bytes.subarray(0, end);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(part);
  } catch {
    const shown = part.toString('latin1').replaceAll(/[^ -~]/g, '?');
    throw new TarDamage(`the name '${shown}' is not UTF-8`);
  }
}

function nameOf(block: Buffer): string {
  const name = textOf(block.subarray(0, 100));
  // GNU's own format has other fields in the place of the prefix.
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const prefix = textOf(block.subarray(345, 500));
  return prefix === '' ? name : `${prefix}/${name}`;
}

function numberAt(block: Buffer, at: number, length: number): number {
  const first = block[at] as number;
  if ((first & 0x80) === 0) {
    const text = block
      .toString('latin1', at, at + length)
      .replaceAll('\0', ' ')
      .trim();
    if (text === '') return 0;
    if (/^[0-7]+$/.test(text)) return Number.parseInt(text, 8);
    throw new TarDamage(`a header has '${text}' as a number`);
  }
  // Binary, and negative with a first byte of ones: times before 1970.
  let value = BigInt(first & 0x7f);
  for (const byte of block.subarray(at + 1, at + length)) value = (value << 8n) | BigInt(byte);
  if (first === 0xff) value -= 1n << BigInt(length * 8 - 1);
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new TarDamage('a header has a number that is too large');
}
