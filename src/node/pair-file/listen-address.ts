/**
 * Where a node waits for its peer: `ws://HOST:PORT` or `wss://HOST:PORT`, as the pair file has it.
 *
 * Taken apart by hand: `URL` drops the port that is its scheme's default, 80 and 443.
 */
export interface ListenAddress {
  readonly scheme: 'ws' | 'wss';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

const form = /^(wss?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/;

/** `undefined` when it is not of that form, or its port is not from 1 to 65535. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, scheme, host, digits] = form.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  return { scheme: scheme === 'wss' ? 'wss' : 'ws', host: host.replace(/^\[|\]$/g, ''), port };
}
