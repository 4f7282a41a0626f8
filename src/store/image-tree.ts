/**
 * The tree of an image: how a small change makes a small increment, and still every snapshot stands
 * alone.
 *
 * Intuition: the names of an image's chunks, 32 to a node; nodes are chunks themselves, so the
 * names of the nodes go into nodes above them, up to one root. What two snapshots have in common
 * they share: a change rewrites only the nodes on the way from its chunks to the root.
 *
 *   level 0    node 0: names of chunks 0..31     node 1: chunks 32..63      ...
 *   level 1    node 0: names of the nodes 0..31 of level 0                  ...
 *
 * An image of n chunks has as few levels as hold them, at least one. A node has 32 names of 32
 * bytes; the ones behind the end are zero. The name of 32 zeros stands for zeros: for a chunk of
 * them, and for a node with nothing but them below it, and neither is stored.
 */
import { hashBytes, isZero, zeroHash } from './chunk.ts';
import { storeLimits } from './limits.ts';

const fanOut = storeLimits.nodeHashes;
const nodeBytes = fanOut * hashBytes;

/** Gives the bytes of a node. */
export type LoadNode = (name: Buffer) => Promise<Buffer>;
/** Keeps the bytes of a node and gives its name. */
export type SaveNode = (bytes: Buffer) => Promise<Buffer>;

export function chunkCount(imageBytes: number, chunkBytes: number): number {
  return Math.ceil(imageBytes / chunkBytes);
}

/** Levels of an image with so many chunks. */
export function levelsOf(chunks: number): number {
  let levels = 1;
  for (let holds = fanOut; holds < chunks; holds *= fanOut) levels += 1;
  return levels;
}

/** New names of chunks, by the node of level 0 that they belong to. */
export class TreeChanges {
  readonly #leaves = new Map<number, (Buffer | undefined)[]>();

  set(chunk: number, name: Buffer): void {
    const index = Math.floor(chunk / fanOut);
    let leaf = this.#leaves.get(index);
    if (leaf === undefined) {
      leaf = new Array<Buffer | undefined>(fanOut);
      this.#leaves.set(index, leaf);
    }
    leaf[chunk % fanOut] = name;
  }

  /** Numbers of the nodes of level 0 with changes, ascending. */
  get touched(): number[] {
    return [...this.#leaves.keys()].sort((a, b) => a - b);
  }

  apply(leaf: number, node: Buffer): void {
    this.#leaves.get(leaf)?.forEach((name, slot) => {
      name?.copy(node, slot * hashBytes);
    });
  }
}

/** The root with the changes made. `save` gets each new node once, children before parents. */
export async function changeTree(
  root: Buffer,
  levels: number,
  changes: TreeChanges,
  load: LoadNode,
  save: SaveNode,
): Promise<Buffer> {
  const touched = changes.touched;
  if (touched.length === 0) return root;
  const change = async (level: number, index: number, old: Buffer, leaves: number[]) => {
    const node = old.equals(zeroHash) ? Buffer.alloc(nodeBytes) : Buffer.from(await load(old));
    if (level === 0) changes.apply(index, node);
    else {
      for (const [child, part] of groupByChild(leaves, level, index)) {
        const at = child * hashBytes;
        const before = Buffer.from(node.subarray(at, at + hashBytes));
        (await change(level - 1, index * fanOut + child, before, part)).copy(node, at);
      }
    }
    return isZero(node) ? zeroHash : await save(node);
  };
  return await change(levels - 1, 0, root, touched);
}

/** Leaves below a node of `level` by the child that they are below. */
function groupByChild(leaves: readonly number[], level: number, index: number) {
  const perChild = fanOut ** (level - 1);
  const groups = new Map<number, number[]>();
  for (const leaf of leaves) {
    const child = Math.floor(leaf / perChild) - index * fanOut;
    const group = groups.get(child);
    if (group === undefined) groups.set(child, [leaf]);
    else group.push(leaf);
  }
  return groups;
}

export interface NamedChunk {
  readonly chunk: number;
  readonly name: Buffer;
}

/** The chunks of a range that are not zero, in order. */
export async function* chunksOf(
  root: Buffer,
  levels: number,
  range: { readonly from: number; readonly to: number },
  load: LoadNode,
): AsyncGenerator<NamedChunk> {
  if (root.equals(zeroHash)) return;
  const each = fanOut ** (levels - 1); // chunks below one entry of this node
  const node = await load(root);
  const first = Math.floor(range.from / each);
  const last = Math.min(fanOut, Math.ceil(range.to / each));
  for (let i = first; i < last; i += 1) {
    const name = node.subarray(i * hashBytes, (i + 1) * hashBytes);
    if (name.equals(zeroHash)) continue;
    if (levels === 1) yield { chunk: i, name };
    else {
      const base = i * each;
      const below = { from: Math.max(0, range.from - base), to: Math.min(each, range.to - base) };
      for await (const found of chunksOf(name, levels - 1, below, load)) {
        yield { chunk: base + found.chunk, name: found.name };
      }
    }
  }
}

/** Numbers of the chunks in which two trees of the same size differ, in order. */
export async function* differences(
  a: Buffer,
  b: Buffer,
  levels: number,
  load: LoadNode,
): AsyncGenerator<number> {
  if (a.equals(b)) return;
  const [nodeA, nodeB] = [await loadOrZero(a, load), await loadOrZero(b, load)];
  const each = fanOut ** (levels - 1);
  for (let i = 0; i < fanOut; i += 1) {
    const entryA = nodeA.subarray(i * hashBytes, (i + 1) * hashBytes);
    const entryB = nodeB.subarray(i * hashBytes, (i + 1) * hashBytes);
    if (entryA.equals(entryB)) continue;
    if (levels === 1) yield i;
    else for await (const d of differences(entryA, entryB, levels - 1, load)) yield i * each + d;
  }
}

/**
 * Names of the nodes and chunks of a tree that another one of the same size does not have at the
 * same place. A name may come twice.
 */
export async function* changedNames(
  root: Buffer,
  before: Buffer,
  levels: number,
  load: LoadNode,
): AsyncGenerator<Buffer> {
  if (root.equals(before) || root.equals(zeroHash)) return;
  yield root;
  const [node, nodeBefore] = [await load(root), await loadOrZero(before, load)];
  for (let at = 0; at < nodeBytes; at += hashBytes) {
    const entry = node.subarray(at, at + hashBytes);
    const entryBefore = nodeBefore.subarray(at, at + hashBytes);
    if (levels > 1) yield* changedNames(entry, entryBefore, levels - 1, load);
    else if (!entry.equals(entryBefore) && !entry.equals(zeroHash)) yield entry;
  }
}

async function loadOrZero(name: Buffer, load: LoadNode): Promise<Buffer> {
  return name.equals(zeroHash) ? Buffer.alloc(nodeBytes) : await load(name);
}

/**
 * Everything below a root, each once: `visit` is told nodes and chunks, and says of a node whether
 * to go on below it. `level` tells a node from a chunk that happens to have the same bytes: a guest
 * could make one. Chunks are told with level -1.
 */
export async function walkTree(
  root: Buffer,
  levels: number,
  load: LoadNode,
  visit: (name: Buffer, level: number) => boolean,
): Promise<void> {
  if (root.equals(zeroHash) || !visit(root, levels - 1)) return;
  const node = await load(root);
  for (let at = 0; at < nodeBytes; at += hashBytes) {
    const name = node.subarray(at, at + hashBytes);
    if (levels > 1) await walkTree(name, levels - 1, load, visit);
    else if (!name.equals(zeroHash)) visit(name, -1);
  }
}

/** True for bytes that can be a node. */
export function isNode(bytes: Buffer): boolean {
  return bytes.length === nodeBytes;
}

/** True for a node that has hardly room left: its names do not compress. */
export function isFull(node: Buffer): boolean {
  let zeroNames = 0;
  for (let at = 0; at < node.length; at += hashBytes) {
    if (zeroHash.compare(node, at, at + hashBytes) === 0) zeroNames += 1;
  }
  return zeroNames * 4 < node.length / hashBytes;
}
