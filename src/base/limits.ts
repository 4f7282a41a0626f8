/**
 * Every size, window, retry and wait of the system that has a limit, with its reason.
 * A unit comes last in each name.
 */
export const limits = {
  /** A marker frame must exceed QEMU's 4 KiB stdio buffer to push what is before it out (R2). */
  markerFrameBytes: 4200,
  /** Epoch boundaries at least this often: bounds what a takeover may have to re-execute blindly. */
  epochMs: 20,
  /** Guest-invisible tick on both sides (R3): shorter costs log, longer delays markers at idle. */
  tickUs: 1000,
} as const;
