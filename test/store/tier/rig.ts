/** Two stores in memory, and one pass from the first to the second. */
import type { Files } from '../../../src/store/files.ts';
import { openParts } from '../../../src/store/opening.ts';
import type { Keep } from '../../../src/store/retention.ts';
import { storeOf } from '../../../src/store/store.ts';
import { Follower } from '../../../src/store/tier/follower.ts';
import type { CopyNews } from '../../../src/store/tier/news.ts';

export const here = '/store';
export const there = '/copies';

export interface Following {
  readonly follower: Follower;
  readonly news: CopyNews[];
  close(): Promise<void>;
}

export interface FollowOptions {
  readonly keep?: Keep;
  readonly owesCollect?: boolean;
  readonly tell?: (news: CopyNews) => void;
  readonly signal?: AbortSignal;
}

/** A follower from the store in `source` to the one in `target`. */
export async function follow(
  source: Files,
  target: Files,
  { keep, owesCollect = false, tell, signal }: FollowOptions = {},
): Promise<Following> {
  const news: CopyNews[] = [];
  const from = await openParts({ directory: here, mode: 'read', files: source });
  const to = await openParts({ directory: there, files: target, catalogue: 'memory' });
  const follower = new Follower({
    tiers: {
      from: from.parts,
      to: to.parts,
      leftOut: new Map(),
      ...(signal === undefined ? {} : { signal }),
    },
    store: storeOf(to),
    vm: 'web',
    keep,
    owesCollect,
    tell: (one) => {
      news.push(one);
      tell?.(one);
    },
  });
  const close = async () => {
    await from.close();
    await to.close();
  };
  return { follower, news, close };
}

/** One pass, and all is closed. Gives what was told. */
export async function passOnce(
  source: Files,
  target: Files,
  options: FollowOptions = {},
): Promise<CopyNews[]> {
  const { follower, news, close } = await follow(source, target, options);
  await follower.pass({ isLast: true });
  await close();
  return news;
}
