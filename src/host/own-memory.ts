/** What a node itself takes of the host's memory. */
import fs from 'node:fs';

/**
 * Bytes in memory but for what is shared: the guest's RAM, which a seed maps to compare it, is on a
 * tmpfs and belongs to the guest (`/proc/PID/status`, proc(5)).
 */
export function ownMemoryBytes(): number {
  const status = fs.readFileSync('/proc/self/status', 'latin1');
  const kilobytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return (kilobytes('RssAnon') + kilobytes('RssFile')) * 1024;
}
