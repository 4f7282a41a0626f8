/**
 * Which addresses never leave the machine: plain text and no proof of identity are for them only.
 */

/** An IPv4 address 127.x.y.z, each number at most 255 and without leading zeros. */
const loopbackV4 = /^127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/** True for addresses that never leave the machine. Names other than 'localhost' do not count. */
export function isLoopback(host: string): boolean {
  const bare = (
    host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  ).toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return loopbackV4.test(bare.startsWith('::ffff:') ? bare.slice('::ffff:'.length) : bare);
}
