/**
 * Files as a cpio archive (`newc`), which Linux unpacks into its initial RAM disk: also behind
 * another one, whose files of the same name it replaces.
 *
 *     "070701", then 13 numbers of 8 hexadecimal digits: inode, mode, uid, gid, links, time, size,
 *     major and minor of the file system, major and minor of the device, length of the name with
 *     its NUL, 0
 *     name and NUL, up to a multiple of 4 bytes; content, likewise
 *
 * The name TRAILER!!! ends it.
 */

export interface ArchivedFile {
  /** Without a slash at its begin; its directory is there. */
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

const S_IFREG = 0o100000;

/** Owned by root, with the time 0: equal files give equal bytes. */
export function encodeCpio(files: readonly ArchivedFile[]): Buffer {
  const members = files.map(({ name, mode, content }, index) =>
    member({ name, mode: S_IFREG | mode, content, inode: index + 1 }),
  );
  const end = member({ name: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0), inode: 0 });
  return Buffer.concat([...members, end]);
}

function member(file: ArchivedFile & { readonly inode: number }): Buffer {
  const name = Buffer.from(`${file.name}\0`);
  const fields = [
    file.inode,
    file.mode,
    0,
    0,
    1,
    0,
    file.content.length,
    0,
    0,
    0,
    0,
    name.length,
    0,
  ];
  const hexadecimal = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const head = Buffer.concat([Buffer.from(`070701${hexadecimal}`), name]);
  return Buffer.concat([padded(head), padded(file.content)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
