/**
 * The faults of the soak, in one table: where each may strike, how long it lasts, and whether
 * somebody must be told of it. How each is made is in `strikes.ts`.
 */

/** Whose surroundings fail; `both`: what the nodes share, or need together. */
export type FaultPlace = 'primary' | 'backup' | 'both';

export type FaultName =
  | 'disk full'
  | 'storage daemon killed'
  | 'storage daemon stopped'
  | 'QEMU stopped'
  | 'QEMU killed'
  | 'successor stopped'
  | 'successor killed'
  | 'node killed'
  | 'node and machine killed'
  | 'node stopped'
  | 'run directory moved'
  | 'clock stepped'
  | 'arbiter stopped'
  | 'arbiter killed'
  | 'log full'
  | 'hogs'
  | 'console flooded';

export interface FaultKind {
  readonly name: FaultName;
  readonly places: readonly FaultPlace[];
  /**
   * How long it lasts before it is healed. 0: it is done at once, and there is nothing to heal; it
   * lasts until the machine is protected again.
   */
  readonly lastsMs: number;
  /** `must`: status and log of a node say so while it lasts. `may`: the reason is `why`. */
  readonly visible: 'must' | 'may';
  /** For `may`: why nobody needs to see it. */
  readonly why?: string;
  /** What a concern or a line of the log about it is about, or says. */
  readonly about: RegExp;
  /** A node that is in another state than it was shows it, too. */
  readonly showsInState: boolean;
  /** It needs file systems of its own, which only root can mount. */
  readonly needsMount?: true;
}

const either = ['primary', 'backup'] as const;
/** A part of a node has failed: whoever protects says so, or the machine changes hands. */
const broken = { visible: 'must', showsInState: true } as const;

export const faultKinds: readonly FaultKind[] = [
  {
    ...{ name: 'disk full', places: either, lastsMs: 5_000, ...broken, needsMount: true },
    about: /disk|machine|copy|seeding|No space left/,
  },
  {
    ...{ name: 'storage daemon killed', places: either, lastsMs: 0, ...broken },
    about: /storage daemon|machine|copy/,
  },
  {
    // A daemon that is stopped is found out after 3 s, and on a busy host a little later.
    ...{ name: 'storage daemon stopped', places: either, lastsMs: 8_000, ...broken },
    about: /storage daemon|machine|copy/,
  },
  {
    ...{ name: 'QEMU stopped', places: either, lastsMs: 8_000, ...broken },
    about: /QEMU|machine|copy|replayer/,
  },
  {
    ...{ name: 'QEMU killed', places: either, lastsMs: 0, ...broken },
    about: /QEMU|machine|copy|replayer/,
  },
  {
    ...{ name: 'successor stopped', places: ['backup'], lastsMs: 8_000, ...broken },
    about: /successor|copy/,
  },
  {
    ...{ name: 'successor killed', places: ['backup'], lastsMs: 0, ...broken },
    about: /successor|copy/,
  },
  {
    // Whoever starts it again does so after this long.
    ...{ name: 'node killed', places: either, lastsMs: 3_000, ...broken },
    about: /peer|lost/,
  },
  {
    ...{ name: 'node and machine killed', places: either, lastsMs: 3_000, ...broken },
    about: /peer|lost/,
  },
  {
    ...{ name: 'node stopped', places: either, lastsMs: 5_000, ...broken },
    about: /peer|lost|stood still/,
  },
  {
    ...{ name: 'run directory moved', places: either, lastsMs: 3_000, visible: 'must' },
    ...{ about: /run directory/, showsInState: false },
  },
  {
    ...{ name: 'clock stepped', places: either, lastsMs: 5_000, visible: 'may' },
    ...{ about: /clock/, showsInState: false },
    why: 'nothing that a node decides looks at the wall clock',
  },
  {
    ...{ name: 'arbiter stopped', places: ['both'], lastsMs: 9_000, visible: 'must' },
    ...{ about: /arbiter/, showsInState: false },
  },
  {
    ...{ name: 'arbiter killed', places: ['both'], lastsMs: 9_000, visible: 'must' },
    ...{ about: /arbiter/, showsInState: false },
  },
  {
    ...{ name: 'log full', places: ['both'], lastsMs: 5_000, visible: 'must' },
    ...{ about: /\blog\b/, showsInState: false, needsMount: true },
  },
  {
    ...{ name: 'hogs', places: ['both'], lastsMs: 5_000, visible: 'may' },
    ...{ about: /./, showsInState: true },
    why: 'the nodes are served first, and their machines are only slower',
  },
  {
    ...{ name: 'console flooded', places: ['both'], lastsMs: 5_000, visible: 'may' },
    ...{ about: /./, showsInState: true },
    why: 'the guest is slowed down to what its copy can follow',
  },
];

export function kindOf(name: FaultName): FaultKind {
  const kind = faultKinds.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`there is no fault '${name}'`);
  return kind;
}
