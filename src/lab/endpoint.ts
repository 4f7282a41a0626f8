/** A TCP address that the load talks to. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`; `undefined` when it is none. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, host, digits] = /^([^:\s]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
