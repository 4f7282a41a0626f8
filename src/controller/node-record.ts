/**
 * Which process a node is, on a tmpfs, so that the next host knows it after this one was killed.
 *
 *   one JSON object: {"understudy":"host-node","version":1,"node":"web/a","file":"web.yaml",
 *                     "digest":"...","control":"...","pid":42,"startTime":"123","bootId":"..."}
 *
 * A record says nothing of a process that has another start time, or of another boot.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { bootId, processStartTime } from '../host/pid-files.ts';

const recordSchema = z.object({
  understudy: z.literal('host-node'),
  version: z.literal(1),
  /** PAIR/NODE */
  node: z.string(),
  /** Name of its pair file in the directory. */
  file: z.string(),
  /** Of what it has read of that; not there for one that no host has started. */
  digest: z.string().exactOptional(),
  /** Its control socket. */
  control: z.string(),
  pid: z.int().min(2),
  startTime: z.string(),
  bootId: z.string(),
});

type RecordText = z.infer<typeof recordSchema>;
export type NodeRecord = Omit<RecordText, 'understudy' | 'version' | 'startTime' | 'bootId'>;

/** Whole or not at all: the host may be killed here. The process must live, or be our zombie. */
export function writeRecord(file: string, record: NodeRecord): void {
  const text: RecordText = {
    understudy: 'host-node',
    version: 1,
    ...record,
    startTime: processStartTime(record.pid) ?? 'gone',
    bootId: bootId(),
  };
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(text)}\n`, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

export function removeRecord(file: string): void {
  fs.rmSync(file, { force: true });
}

/** Those of a directory whose processes live; what says nothing any more is removed. */
export function livingRecords(dir: string): NodeRecord[] {
  return fs.readdirSync(dir).flatMap((name) => {
    const file = path.join(dir, name);
    const record = parse(file);
    const isAlive =
      record?.bootId === bootId() && processStartTime(record.pid) === record.startTime;
    if (record !== undefined && isAlive) return [record];
    fs.rmSync(file, { force: true });
    return [];
  });
}

function parse(file: string): RecordText | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(fs.readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined; // cut short, by a host of another kind or a full tmpfs
  }
}
