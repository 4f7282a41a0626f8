/** Entries of a tar archive, one behind the other. */
import { UnderstudyError } from '../base/errors.ts';
import { type ByteSource, upTo } from './byte-source.ts';
import { containerLimits } from './limits.ts';
import {
  blockBytes,
  type EntryKind,
  parseHeader,
  parsePax,
  TarDamage,
  type TarHeader,
  textOf,
} from './tar-header.ts';

/** One thing in an archive. */
export interface TarEntry extends Omit<TarHeader, 'kind'> {
  readonly kind: Exclude<EntryKind, 'pax' | 'globalPax' | 'longName' | 'longLink'>;
  /** Of a program: what `setcap` gave it. */
  readonly capability: Buffer | undefined;
  /** Where its content begins, in bytes from the archive's begin. */
  readonly offset: number;
  /** To be read before the next entry, or not at all. */
  content(): AsyncGenerator<Buffer>;
}

/**
 * All entries. `archive` is for messages.
 *
 * @throws UnderstudyError `config` when it is damaged, cut short, or has what is not understood.
 */
export async function* readTar(source: ByteSource, archive: string): AsyncGenerator<TarEntry> {
  const global = new Map<string, Buffer>();
  let extended = new Map<string, Buffer>();
  try {
    for (;;) {
      const block = await upTo(source, blockBytes);
      if (block.length === 0 || isEnd(block)) return;
      if (block.length < blockBytes) throw cutShort();
      const header = parseHeader(block);
      const { kind } = header;
      if (kind === 'pax' || kind === 'globalPax' || kind === 'longName' || kind === 'longLink') {
        const body = await bodyOf(source, header);
        if (kind === 'pax') extended = new Map([...extended, ...parsePax(body)]);
        else if (kind === 'globalPax') for (const [k, v] of parsePax(body)) global.set(k, v);
        else extended.set(kind === 'longName' ? 'path' : 'linkpath', body);
        continue;
      }
      const records = new Map([...global, ...extended]);
      const entry = completed({ ...header, kind }, records, { source, archive });
      extended = new Map();
      const end = entry.offset + padded(entry.bytes);
      yield entry;
      await source.skip(end - source.position);
    }
  } catch (thrown) {
    throw named(thrown, archive);
  }
}

function named(thrown: unknown, archive: string): unknown {
  if (!(thrown instanceof TarDamage)) return thrown;
  return new UnderstudyError('config', `Cannot read the archive '${archive}'`, {
    cause: thrown,
    hint: 'make it again: it is damaged, or not one of a container image',
  });
}

const padded = (bytes: number): number => Math.ceil(bytes / blockBytes) * blockBytes;
const isEnd = (block: Buffer): boolean => block.every((byte) => byte === 0);
const cutShort = (): TarDamage => new TarDamage('it ends in the middle');

async function bodyOf(source: ByteSource, { bytes }: TarHeader): Promise<Buffer> {
  if (bytes < 0 || bytes > containerLimits.paxBytesMax) {
    throw new TarDamage(`an extended header has ${bytes} bytes`);
  }
  const body = await upTo(source, padded(bytes));
  if (body.length < bytes) throw cutShort();
  return body.subarray(0, bytes);
}

function completed(
  header: TarHeader & Pick<TarEntry, 'kind'>,
  records: ReadonlyMap<string, Buffer>,
  { source, archive }: { readonly source: ByteSource; readonly archive: string },
): TarEntry {
  const text = (key: string): string | undefined => {
    const value = records.get(key);
    return value === undefined ? undefined : textOf(value);
  };
  const number = (key: string, otherwise: number): number => {
    const value = text(key);
    if (value === undefined) return otherwise;
    if (/^-?[0-9]+(\.[0-9]*)?$/.test(value)) return Number(value);
    throw new TarDamage(`an extended header has '${value}' as ${key}`);
  };
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse'))) {
    throw new TarDamage(`'${text('path') ?? header.name}' is a sparse file`);
  }
  const hasContent = header.kind === 'file';
  const bytes = hasContent ? number('size', header.bytes) : 0;
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new TarDamage(`'${header.name}' has ${bytes} bytes`);
  }
  return {
    ...header,
    name: text('path') ?? header.name,
    linkName: text('linkpath') ?? header.linkName,
    uid: Math.trunc(number('uid', header.uid)),
    gid: Math.trunc(number('gid', header.gid)),
    mtimeSeconds: number('mtime', header.mtimeSeconds),
    bytes,
    capability: records.get('SCHILY.xattr.security.capability'),
    offset: source.position,
    content: () => contentOf(source, bytes, archive),
  };
}

async function* contentOf(
  source: ByteSource,
  bytes: number,
  archive: string,
): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; ) {
    const piece = await source.some(Math.min(left, containerLimits.pieceBytes));
    if (piece.length === 0) throw named(cutShort(), archive);
    left -= piece.length;
    yield piece;
  }
}
