// Images of a test, laid out in its directory.
import fs from 'node:fs';
import path from 'node:path';
import { openImage } from '../../src/container/open-image.ts';
import { unpack } from '../../src/container/unpack.ts';

let roots = 0;

/** Lays the image out below `dir`; returns the new root. */
export async function laidOut(dir: string, image: string): Promise<string> {
  roots += 1;
  const root = path.join(dir, `root${roots}`);
  fs.mkdirSync(root);
  const opened = await openImage(image, path.join(dir, `scratch${roots}`));
  try {
    if (!('layers' in opened.content)) throw new Error('it has no layers');
    const { signal } = new AbortController();
    await unpack(opened.content.layers, root, { signal, onProgress: () => undefined });
  } finally {
    opened.close();
  }
  return root;
}
