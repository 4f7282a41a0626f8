// A container image becomes a machine that is protected: its command goes on where it was when the
// primary is killed, in memory and on its disks, is asked to end as the image wants it, and its
// exit code is told.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dockerArchive, tar, type Written } from '../container/tar-writer.ts';
import { guestDir } from './harness/booted.ts';
import type { Terminal } from './harness/terminal.ts';
import { bootMs, waitFor } from './harness/wait.ts';
import { consoleOf, RunningVerbs, understudy, untilState } from './verbs.ts';

let dir: string;
let out: string;
let verbs: RunningVerbs;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-run-'));
  out = path.join(dir, 'out');
  verbs = new RunningVerbs(() => dir);
});

afterEach(async () => {
  await verbs.end();
  fs.rmSync(dir, { recursive: true, force: true });
});

/**
 * Counts in memory and in a file, and lists each number in another one. Ctrl-C asks the machine to
 * switch itself off, as `poweroff` does; only the image's stop signal ends it.
 */
const counter = `#!/bin/sh
n=0
stop=no
trap 'kill -TERM 1' INT
trap 'stop=yes' QUIT
while [ $stop = no ]; do
  n=$((n + 1))
  echo $n >/data/count
  echo $n >>/data/all
  echo "count $n"
  sleep 0.1
done
echo "memory $n file $(cat /data/count) lines $(wc -l </data/all)"
exit 42
`;

/** A small image around busybox, as a docker-archive. */
function image(config: object): string {
  const busybox = execFileSync('cpio', ['-i', '--quiet', '--to-stdout', '*bin/busybox'], {
    input: fs.readFileSync(path.join(guestDir, 'container.img')),
    maxBuffer: 1 << 26,
  });
  const applets = ['sh', 'sleep', 'cat', 'wc', 'id', 'ls', 'ps', 'stat', 'hostname', 'ip'];
  const links: Written[] = applets.map((name) => ({
    ...{ name: `bin/${name}`, type: '2', link: 'busybox' },
  }));
  const layer = tar(
    ...[{ name: 'bin/' }, { name: 'bin/busybox', content: busybox, mode: 0o755 }, ...links],
    ...[{ name: 'etc/' }, { name: 'tmp/', mode: 0o1777 }],
    { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n' },
    { name: 'etc/group', content: 'root:x:0:\napp:x:1001:\ndisk:x:6:app\n' },
    { name: 'bin/count', content: counter, mode: 0o755 },
    ...[
      { name: 'kept/', uid: 1000, mode: 0o700 },
      { name: 'kept/file', content: 'of the image\n' },
    ],
  );
  const file = path.join(dir, 'image.tar');
  fs.writeFileSync(file, dockerArchive({ config, layers: [layer] }));
  return file;
}

const argsFor = (config: object, ...options: string[]): string[] => [
  ...['run', image(config), '--as', 'made', '--out', out, '--guest', guestDir],
  ...['--memory', '128M', ...options],
];

/** Makes the pair; returns its file. */
async function made(config: object, ...options: string[]): Promise<string> {
  const ended = await understudy(...argsFor(config, '--json', ...options));
  expect(ended).toMatchObject({ code: 0 });
  return (JSON.parse(ended.stdout) as { pair: string }).pair;
}

const counted = (terminal: Terminal): number =>
  Math.max(0, ...[...terminal.text.matchAll(/count (\d+)\r/g)].map(([, number]) => Number(number)));

const exited = (child: { exitCode: number | null }): Promise<number> =>
  waitFor('the node to end', () => child.exitCode ?? undefined);

describe.skipIf(process.getuid?.() !== 0)('a container image as a machine', () => {
  test('its primary is killed: the command goes on, is ended in order, and its code is told', async () => {
    const config = { Cmd: ['/bin/count'], StopSignal: 'SIGQUIT' };
    const pairFile = await made(config, '-v', 'data:/data:32M');
    const a = verbs.run('node', '--pair', pairFile, '--name', 'a');
    const first = await waitFor('the console', () => consoleOf(pairFile, 'a'));
    await first.until('count 3\r', bootMs);
    const b = verbs.run('node', '--pair', pairFile, '--name', 'b');
    await untilState(pairFile, 'a', 'protected');
    const before = counted(first);
    await waitFor('it to count on', () => counted(first) > before + 3 || undefined);
    a.kill('SIGKILL');
    await untilState(pairFile, 'b', 'alone');
    const seen = counted(first);
    const second = await consoleOf(pairFile, 'b');
    await waitFor('it to count on', () => counted(second) > seen + 3 || undefined);
    second.paste('\x03');
    const end = await second.until('understudy-run: exit code 42\r\n');
    const [, memory, file, lines] = /memory (\d+) file (\d+) lines (\d+)/.exec(end) ?? [];
    expect([file, lines]).toEqual([memory, memory]);
    expect(Number(memory)).toBeGreaterThan(seen);
    // The machine has switched itself off, and left its disks clean.
    expect(await exited(b)).toBe(0);
    for (const disk of ['root', 'data']) {
      execFileSync('e2fsck', ['-fn', path.join(out, `backup.${disk}.raw`)], { stdio: 'pipe' });
    }
    const count = ['-R', 'cat /count', path.join(out, 'backup.data.raw')];
    expect(execFileSync('debugfs', count, { stdio: 'pipe' }).toString()).toBe(`${memory}\n`);
  });

  test('the command finds what the image and a person say; started again, what it left', async () => {
    const say = [
      'id; pwd; echo "A=$A B=$B HOME=$HOME"; hostname; cat /kept/file; stat -c %u:%a /kept',
      'ls /proc/self/fd /dev/pts /dev/shm >/dev/null && echo mounts-are-there',
      'echo x >/dev/stdout; echo own >/kept/new; ip address show eth0 | cat',
      '[ -e /kept/again ] && sh -c "kill -9 \\$PPID"; echo >/kept/again; sleep 9 & exit 7',
    ].join('; ');
    const config = {
      ...{ Entrypoint: ['/bin/sh', '-c'], Env: ['A=1 2', 'B=image'], User: 'app' },
      ...{ WorkingDir: '/work/here', Volumes: { '/kept': {} }, Hostname: 'counting-house' },
    };
    const a = verbs.run(...argsFor(config, '-e', 'B=person', '--start', '--', say));
    const pairFile = path.join(out, 'pair.yaml');
    await waitFor('the pair', () => fs.existsSync(pairFile) || undefined, bootMs);
    const terminal = await waitFor('the console', () => consoleOf(pairFile, 'a'));
    const said = await terminal.until('understudy-run: exit code 7\r\n', bootMs);
    for (const words of [
      'uid=1000(app) gid=1001(app) groups=6(disk),1001(app)',
      ...['/work/here', 'A=1 2 B=person HOME=/srv', 'counting-house', 'of the image', '1000:700'],
      ...['mounts-are-there', '\nx\r', 'inet 10.77.0.2/24'],
    ]) {
      expect(said).toContain(words);
    }
    expect(await exited(a)).toBe(0);
    const own = ['-R', 'cat /new', path.join(out, 'disk.vol1.raw')];
    expect(execFileSync('debugfs', own, { stdio: 'pipe' }).toString()).toBe('own\n');
    // Nothing of what ran is left, and all that it wrote.
    const again = verbs.run('node', '--pair', pairFile, '--name', 'a');
    const next = await waitFor('the console', () => consoleOf(pairFile, 'a'));
    await next.until('understudy-run: exit code 137\r\n', bootMs);
    expect(await exited(again)).toBe(0);
  });
});
