/** File systems that lie in memory: fast, and empty after a loss of power. */
import type { StatsFs } from 'node:fs';

/** tmpfs and ramfs (linux/magic.h). */
const types: readonly number[] = [0x01021994, 0x858458f6];

/** What `statfs` says of a directory. */
export const liesInMemory = ({ type }: Pick<StatsFs, 'type'>): boolean => types.includes(type);
