/** Every size of a container image that has a limit, with its reason. Units come last. */

const KiB = 1024;
const MiB = 1024 * KiB;

export const containerLimits = {
  /** Manifests have some KB; a config with a long history some 100 KB. */
  jsonBytesMax: 4 * MiB,
  /** Docker's own limit is 127. */
  layersMax: 256,
  /** An index may name an index; more than one below another has not been seen. */
  indexDepthMax: 4,
  /** Names in an extended header; Linux takes paths of 4096 bytes. */
  paxBytesMax: 1 * MiB,
  /** Symbolic links on the way to one name, as Linux has it. */
  linksFollowedMax: 40,
  /** Read and written at once. */
  pieceBytes: 1 * MiB,
  /** Users and groups of a distribution are some KB. */
  accountBytesMax: 1 * MiB,
  /** Root and volumes: a machine has at most 8 disks. */
  disksMax: 8,
  /** Room that a disk has beside what is on it; holes take no room on the host. */
  freeBytes: 1024 * MiB,
  /** What a disk has beside its files: the file system's journal and tables. */
  diskBytesMin: 16 * MiB,
  /** As `docker stop` has it, for an image that says nothing else. */
  stopSeconds: 10,
} as const;
