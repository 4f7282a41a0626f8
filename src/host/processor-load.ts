/**
 * How busy each processor of the machine is, from two looks at `/proc/stat` (proc(5)).
 *
 * Times are in clock ticks, a hundredth of a second.
 */

export interface ProcessorTicks {
  readonly busy: number;
  /** Of the busy ones: taken by the host of this host. */
  readonly stolen: number;
  readonly all: number;
}

/** Each processor's ticks since boot, by its number. Lines that are not whole are left out. */
export function parseProcessorTicks(text: string): Map<number, ProcessorTicks> {
  const ticks = new Map<number, ProcessorTicks>();
  for (const line of text.split('\n')) {
    // cpuN user nice system idle iowait irq softirq steal guest guest_nice; the last two count as
    // user, too.
    const [name = '', ...fields] = line.split(' ');
    const number = /^cpu(\d+)$/.exec(name)?.[1];
    if (number === undefined || fields.length < 10) continue;
    const times = fields.slice(0, 8).map(Number);
    const all = times.reduce((sum, time) => sum + time, 0);
    const idle = (times[3] ?? 0) + (times[4] ?? 0);
    ticks.set(Number(number), { busy: all - idle, stolen: times[7] ?? 0, all });
  }
  return ticks;
}

/** Share of the time, 0 to 1, that each processor was busy between two looks. */
export function busyShares(
  before: ReadonlyMap<number, ProcessorTicks>,
  now: ReadonlyMap<number, ProcessorTicks>,
): Map<number, number> {
  const shares = new Map<number, number>();
  for (const [processor, { busy, all }] of now) {
    const then = before.get(processor);
    const passed = then === undefined ? 0 : all - then.all;
    if (then !== undefined && passed > 0) shares.set(processor, (busy - then.busy) / passed);
  }
  return shares;
}
