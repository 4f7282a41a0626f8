/** QEMU releases whose event log is known, each for those up to the next (src/rrlog/layouts.ts). */
export const qemuReleases = ['7.2', '10.0', '11.0', '11.1'] as const;
export type QemuRelease = (typeof qemuReleases)[number];
