/** Chooses and opens the outside world of the demo. */
import { UnderstudyError } from '../base/errors.ts';
import type { World } from './world.ts';
import { openNetnsWorld } from './world-netns.ts';
import { openPasstWorld } from './world-passt.ts';

export interface WorldOptions {
  /** Names of the nodes, each one letter or digit. @default ['a', 'b'] */
  readonly nodes?: readonly string[];
  /** `auto`: a namespace where the rights allow one, passt otherwise. @default 'auto' */
  readonly kind?: 'auto' | 'netns' | 'passt';
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { nodes = ['a', 'b'], kind = 'auto' } = options;
  for (const node of nodes) {
    if (!/^[a-z0-9]$/.test(node)) {
      throw new RangeError(`a node's name in the demo is one letter or digit: it is '${node}'`);
    }
  }
  if (kind === 'netns') return openNetnsWorld(nodes);
  if (kind === 'passt') return openPasstWorld(nodes);
  try {
    return await openNetnsWorld(nodes);
  } catch (error) {
    const lacking = error instanceof UnderstudyError;
    if (!lacking || (error.code !== 'rights' && error.code !== 'environment')) throw error;
    return openPasstWorld(nodes);
  }
}
