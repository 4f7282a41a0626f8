/** Ships the recorder's log over one link: packs each segment behind the one before. */
import type { Term } from '../../base/units.ts';
import type { Link } from '../../ports/link.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { Segment } from '../../rrlog/log-tail.ts';
import { SegmentPacker } from '../../rrlog/packer.ts';

export class LogShipper {
  readonly link: Link;
  readonly #packer: SegmentPacker;
  #wireBytes = 0;

  constructor(link: Link, layout: Layout) {
    this.link = link;
    this.#packer = new SegmentPacker(layout);
  }

  /** Bytes given to the link. */
  get wireBytes(): number {
    return this.#wireBytes;
  }

  /** `isPlain`: not packed. */
  ship(segment: Segment, term: Term, isPlain: boolean): void {
    const packer = this.#packer;
    const payload = isPlain ? packer.plain(segment.bytes) : packer.pack(segment.bytes);
    this.#wireBytes += payload.length;
    const { from, to, icount, bytes } = segment;
    const rawBytes = bytes.length;
    this.link.send({ kind: 'log', term, from, to, icount, rawBytes, codec: 0, payload });
  }
}
