/**
 * Looks into an event log.
 *
 * Both verbs stream: a log of many gigabytes takes no more memory than its largest event. The
 * last line of either says how the log ends: a torn tail is what a killed recorder leaves.
 */
import { open } from 'node:fs/promises';
import { UnderstudyError } from '../../base/errors.ts';
import type { Icount, LogPosition } from '../../base/units.ts';
import { decodeEvent, type LogEvent } from '../../rrlog/events.ts';
import { headerBytes, type Layout, layoutFor } from '../../rrlog/layouts.ts';
import { noEpoch } from '../../rrlog/marker.ts';
import { EventLogReader } from '../../rrlog/reader.ts';

export interface LogOptions {
  readonly qemu: string;
  readonly stripped?: boolean;
  readonly json?: boolean;
}

export interface DumpOptions extends LogOptions {
  readonly from?: LogPosition;
  readonly to?: LogPosition;
  readonly kind?: string;
}

/**
 * Standard output that waits when it is full and knows when nobody reads it any more (a closed
 * pipe, as of `| head`), which is no error.
 */
class Output {
  closed = false;
  #lines: string[] = [];
  #bytes = 0;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.closed = true;
    });
  }

  async line(text: string): Promise<void> {
    this.#lines.push(text);
    this.#bytes += text.length;
    if (this.#bytes > 65_536) await this.flush();
  }

  flush(): Promise<void> {
    const text = this.#lines.map((line) => `${line}\n`).join('');
    this.#lines = [];
    this.#bytes = 0;
    if (this.closed || text === '') return Promise.resolve();
    return new Promise((resolve) => {
      process.stdout.write(text, () => resolve());
    });
  }
}

/**
 * Read a whole log and visit each event. The reader comes back for what it says about the end.
 *
 * @throws UnderstudyError `log-format` when the file cannot be read, has no header or holds bytes
 * that are no events.
 */
async function visit(
  path: string,
  options: LogOptions,
  each: (reader: EventLogReader) => boolean | Promise<boolean>,
): Promise<EventLogReader> {
  const reader = new EventLogReader({
    layout: layoutFor(options.qemu),
    expectHeader: true,
    input: options.stripped === true ? 'stripped' : 'raw',
    // As a node reads it: a marker counts as soon as its head is in the file.
    earlyMarkers: true,
  });
  const file = await open(path).catch((error: unknown) => {
    throw new UnderstudyError('log-format', `cannot open the event log ${path}`, { cause: error });
  });
  try {
    const chunk = Buffer.allocUnsafe(262_144);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) break;
      reader.push(chunk.subarray(0, bytesRead));
      while (reader.next()) {
        const more = each(reader);
        if (!(typeof more === 'boolean' ? more : await more)) return reader;
      }
    }
  } catch (error) {
    if (error instanceof UnderstudyError) throw error;
    throw new UnderstudyError('log-format', `cannot read the event log ${path}`, { cause: error });
  } finally {
    await file.close();
  }
  if (reader.end < headerBytes) {
    throw new UnderstudyError(
      'log-format',
      `${path} is no event log: it has ${reader.pendingBytes} bytes, its header alone has 12`,
      { hint: 'a recording QEMU writes its first bytes only after 4 KiB of events' },
    );
  }
  return reader;
}

/** Prints events, one a line. Throws `config` and `log-format`. */
export async function dump(path: string, options: DumpOptions): Promise<void> {
  const layout = layoutFor(options.qemu);
  const wanted = wantedKinds(layout, options.kind);
  const from = options.from ?? 0;
  const to = options.to ?? Number.POSITIVE_INFINITY;
  const output = new Output();
  const show = (reader: EventLogReader): boolean | Promise<boolean> => {
    if (reader.position >= to || output.closed) return false;
    if (reader.position < from) return true;
    const named = options.kind === 'marker' ? reader.marker !== undefined : wanted[reader.kind];
    if (!named) return true;
    return output.line(options.json ? jsonLine(reader) : textLine(reader)).then(() => true);
  };
  const reader = await visit(path, options, show);
  if (options.json !== true && reader.position < to && reader.pendingBytes > 0) {
    await output.line(`${reader.end}  torn tail of ${reader.pendingBytes} bytes`);
  }
  await output.flush();
}

function wantedKinds(layout: Layout, kind: string | undefined): Uint8Array {
  const wanted = new Uint8Array(256);
  layout.names.forEach((name, k) => {
    const named = kind === undefined || name === kind || layout.families[k] === kind;
    if (named) wanted[k] = 1;
  });
  if (kind !== 'marker' && !wanted.includes(1)) {
    throw new UnderstudyError('config', `no event is of kind ${kind}`, {
      hint: `name one of ${[...new Set(layout.families), 'marker'].join(', ')}`,
    });
  }
  return wanted;
}

/** Data bytes as hexadecimal text; a frame's first bytes are what a person looks for. */
function shownData(data: Buffer): string {
  const head = data.subarray(0, 32).toString('hex');
  return data.length > 32 ? `${data.length}:${head}...` : `${data.length}:${head}`;
}

function textLine(reader: EventLogReader): string {
  const start = `${reader.position}  ${reader.icount}  ${reader.layout.names[reader.kind]}`;
  if (reader.marker !== undefined) {
    const { epoch, originalBytes } = reader.marker;
    return `${start}  marker epoch=${epoch} frame=${originalBytes}`;
  }
  const fields = Object.entries(plain(decodeEvent(reader)))
    .filter(([name]) => !['kind', 'clock', 'checkpoint', 'cause'].includes(name))
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return [start, ...fields].join('  ');
}

function jsonLine(reader: EventLogReader): string {
  const { position, end, icount, marker } = reader;
  const event = plain(decodeEvent(reader));
  // How much of a marker's padding is in the file says nothing.
  if (marker !== undefined) delete event.data;
  return JSON.stringify({ position, end, icount, ...event, ...(marker ? { marker } : {}) });
}

/** An event without buffers and bigints, which JSON does not know. */
function plain(event: LogEvent): Record<string, unknown> {
  const simple = (value: unknown): unknown => {
    if (Buffer.isBuffer(value)) return shownData(value);
    if (typeof value === 'bigint') return value.toString();
    if (Array.isArray(value)) return value.map(simple);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, simple(v)]));
    }
    return value;
  };
  return simple(event) as Record<string, unknown>;
}

/** What `stat --json` prints. */
export interface LogStatistics {
  readonly position: LogPosition;
  readonly icount: Icount;
  readonly events: number;
  readonly markers: number;
  readonly firstEpoch?: number;
  readonly lastEpoch?: number;
  /** Stripped bytes of log for a million instructions; null when none were executed. */
  readonly bytesPerMillionInstructions: number | null;
  /** Bytes of an incomplete event at the end. */
  readonly tornBytes: number;
  /** Padding of a last marker that is not in the file. */
  readonly missingPaddingBytes: number;
  /** The recorder wrote END: a clean exit. */
  readonly ended: boolean;
  readonly kinds: readonly {
    readonly kind: string;
    readonly count: number;
    readonly bytes: number;
  }[];
}

/** Prints what the log has of each kind. Throws `log-format`. */
export async function stat(path: string, options: LogOptions): Promise<void> {
  const layout = layoutFor(options.qemu);
  const counts = new Float64Array(layout.count);
  const bytes = new Float64Array(layout.count);
  let markers = 0;
  let padding = 0;
  let firstEpoch: number | undefined;
  let lastEpoch: number | undefined;
  const reader = await visit(path, options, (at) => {
    counts[at.kind]!++;
    bytes[at.kind]! += at.end - at.position;
    if (at.marker !== undefined) {
      markers++;
      padding += at.marker.originalBytes - 32;
      if (at.marker.epoch !== noEpoch) {
        firstEpoch ??= at.marker.epoch;
        lastEpoch = at.marker.epoch;
      }
    }
    return true;
  });
  const logBytes = reader.end - headerBytes - padding;
  const statistics: LogStatistics = {
    position: reader.end,
    icount: reader.icount,
    events: reader.events,
    markers,
    ...(firstEpoch === undefined ? {} : { firstEpoch }),
    ...(lastEpoch === undefined ? {} : { lastEpoch }),
    bytesPerMillionInstructions: reader.icount === 0 ? null : (logBytes * 1e6) / reader.icount,
    tornBytes: reader.pendingBytes,
    missingPaddingBytes: reader.paddingBytes,
    ended: layout.families[reader.kind] === 'end',
    kinds: layout.names
      .map((kind, k) => ({ kind, count: counts[k]!, bytes: bytes[k]! }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.bytes - a.bytes),
  };
  const output = new Output();
  await output.line(options.json ? JSON.stringify(statistics) : statText(statistics));
  await output.flush();
}

function statText(s: LogStatistics): string {
  const kinds = s.kinds.map(
    ({ kind, count, bytes }) =>
      `${kind.padEnd(32)}${String(count).padStart(12)}${String(bytes).padStart(14)}`,
  );
  const end = endText(s);
  return [
    `${'kind'.padEnd(32)}${'events'.padStart(12)}${'bytes'.padStart(14)}`,
    ...kinds,
    '',
    `events      ${s.events}`,
    `icount      ${s.icount}`,
    `position    ${s.position}`,
    `density     ${s.bytesPerMillionInstructions?.toFixed(0) ?? '-'} bytes a million instructions`,
    `markers     ${s.markers === 0 ? 'none' : `${s.markers}, epochs ${s.firstEpoch} to ${s.lastEpoch}`}`,
    `ends with   ${end}`,
  ].join('\n');
}

function endText(s: LogStatistics): string {
  if (s.tornBytes > 0) return `torn tail of ${s.tornBytes} bytes`;
  if (s.missingPaddingBytes > 0) return `a marker, ${s.missingPaddingBytes} bytes of it missing`;
  return s.ended ? 'END, a clean exit' : 'a whole event';
}
