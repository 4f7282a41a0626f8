/**
 * What a machine runs, as the program that starts it there reads it: scripts/guest/container/sbin/
 * supervise. It is pairs KEY NUL VALUE NUL:
 *
 *     arg        a word of the command; the first is the program
 *     env        NAME=VALUE
 *     cwd        directory; made when it is not there
 *     uid, gid   numbers
 *     group      a further one
 *     hostname
 *     stop       number of the signal that asks the command to end
 *     patience   seconds until it is ended by force after that
 *     volume     where a disk is mounted: /dev/vdb first
 */
import { UnderstudyError } from '../base/errors.ts';
import { type Account, type AccountFiles, accountOf } from './account.ts';
import type { ImageConfig } from './image-json.ts';
import { signalNumber } from './stop-signal.ts';

export interface MachineSpec {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly account: Account;
  readonly hostname: string;
  readonly stopSignal: number;
  readonly stopSeconds: number;
  /** Absolute, below the machine's root; those that hold others come first. */
  readonly volumes: readonly string[];
}

/** What a person wants else than the image does. */
export interface RunWishes {
  /** In the place of its Cmd; empty: its own. */
  readonly command: readonly string[];
  /** `NAME=VALUE`; before those of the image. */
  readonly env: readonly string[];
  readonly user: string | undefined;
  readonly workingDir: string | undefined;
}

const usualPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `name` is the hostname of what has none. Throws `config` with what is wrong. */
export function specOf(
  config: ImageConfig,
  wishes: RunWishes,
  machine: {
    readonly name: string;
    readonly accounts: AccountFiles;
    readonly volumes: readonly string[];
  },
): MachineSpec {
  const command = wishes.command.length > 0 ? wishes.command : config.cmd;
  const argv = [...config.entrypoint, ...command];
  if (argv.length === 0 || argv[0] === '') {
    throw new UnderstudyError('config', 'The image does not say which command it runs', {
      hint: 'give it at the end: -- COMMAND ARGUMENT...',
    });
  }
  const account = accountOf(wishes.user ?? config.user ?? '', machine.accounts);
  const hostname = config.hostname ?? machine.name;
  const cwd = wishes.workingDir ?? config.workingDir ?? '/';
  if (!cwd.startsWith('/')) {
    throw new UnderstudyError(
      'config',
      `The command's directory must begin with /: it is '${cwd}'`,
      {
        hint: 'give another with -w',
      },
    );
  }
  const usual = [usualPath, `HOSTNAME=${hostname}`, `HOME=${account.home}`, 'TERM=xterm'];
  return {
    argv,
    env: merged(usual, config.env, wishes.env),
    cwd,
    account,
    hostname,
    stopSignal: signalNumber(config.stopSignal ?? 'TERM'),
    stopSeconds: config.stopSeconds,
    volumes: machine.volumes,
  };
}

/** Throws `config` when it is not `NAME=VALUE`. */
export function checkVariable(text: string): void {
  if (/^[^=]+=/.test(text)) return;
  throw new UnderstudyError('config', `-e must be NAME=VALUE: current value is '${text}'`, {
    hint: `give its value, too: -e ${text.replaceAll('=', '') || 'NAME'}="$${text.replaceAll('=', '') || 'NAME'}"`,
  });
}

/** Later ones win. */
function merged(...lists: readonly (readonly string[])[]): string[] {
  const variables = new Map(
    lists.flat().map((text) => [text.split('=', 1)[0] as string, text] as const),
  );
  return [...variables.values()];
}

/** Throws `config` when there is a NUL in it, which no command can be given. */
export function encodeSpec(spec: MachineSpec): Buffer {
  const { account } = spec;
  const pairs: (readonly [key: string, value: string | number])[] = [
    ...spec.argv.map((word) => ['arg', word] as const),
    ...spec.env.map((text) => ['env', text] as const),
    ['cwd', spec.cwd],
    ['uid', account.uid],
    ['gid', account.gid],
    ...account.groups.map((gid) => ['group', gid] as const),
    ['hostname', spec.hostname],
    ['stop', spec.stopSignal],
    ['patience', spec.stopSeconds],
    ...spec.volumes.map((place) => ['volume', place] as const),
  ];
  for (const [key, value] of pairs) {
    if (!String(value).includes('\0')) continue;
    throw new UnderstudyError('config', `The image has a NUL in ${key}: '${value}'`);
  }
  return Buffer.from(pairs.map(([key, value]) => `${key}\0${value}\0`).join(''));
}
