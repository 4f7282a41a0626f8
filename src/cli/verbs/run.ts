/** Makes a pair that runs a container image, and starts it when it is to. */
import path from 'node:path';
import { Option } from 'commander';
import { UnderstudyError } from '../../base/errors.ts';
import { checkVariable } from '../../container/machine-spec.ts';
import { requireRootUser } from '../../container/unpack.ts';
import { volumesOf } from '../../container/volumes.ts';
import { parseEgressSpec } from '../../egress/from-spec.ts';
import { diskSizeField } from '../../hypervisor/vm-file/fields.ts';
import { containerBoot, defaultGuestDir } from '../../lab/guest-dir.ts';
import { guestNet } from '../../lab/guest-net.ts';
import { refusedRunOptions } from '../run-refusals.ts';
import { filledUnlessInterrupted } from './filled.ts';
import { checkPairName, firstNode, goOnLines } from './new-pair.ts';
import { runNode } from './node.ts';
import { type MadeMachine, machineOf, makeMachine } from './run-machine.ts';

export interface RunOptions {
  readonly as: string;
  readonly out: string;
  readonly memory: string;
  readonly diskSize?: string;
  readonly env: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly volume: readonly string[];
  readonly egress: string;
  readonly guest?: string;
  readonly start?: boolean;
  readonly json?: boolean;
}

/** Throws, and leaves nothing, when there is something wrong. */
export async function runImage(
  image: string,
  words: readonly string[],
  options: RunOptions,
): Promise<void> {
  const { as, egress, start = false } = options;
  refuse(options as unknown as Readonly<Record<string, unknown>>);
  checkPairName(as);
  parseEgressSpec(egress);
  for (const text of options.env) checkVariable(text);
  const sizes = sizesOf(options);
  const boot = containerBoot(path.resolve(options.guest ?? defaultGuestDir));
  const vm = machineOf({ as, memory: options.memory, boot });
  requireRootUser();
  const dir = path.resolve(options.out);
  const made = await filledUnlessInterrupted(dir, 'nothing is made', (signal) =>
    makeMachine(dir, {
      ...{ image, vm, boot, as, egress, signal, sizes },
      volumes: options.volume,
      wishes: {
        command: words,
        env: options.env,
        user: options.user,
        workingDir: options.workdir,
      },
    }),
  );
  if (made === undefined) return;
  tell(made, { as, egress, start, json: options.json === true });
  if (!start) return;
  await runNode({ pair: made.pair, name: firstNode, startAnew: false, prepared: undefined });
}

/** Throws `config` with each option that is known and not possible. */
function refuse(given: Readonly<Record<string, unknown>>): void {
  const refused = refusedRunOptions.flatMap(({ flags, why }) => {
    const option = new Option(flags);
    return given[option.attributeName()] === undefined ? [] : [`${option.long}: ${why}`];
  });
  if (refused.length === 0) return;
  throw new UnderstudyError('config', `Not possible:\n  ${refused.join('\n  ')}`, {
    hint: 'see docs/containers.md',
  });
}

/** Bytes of disks, by their ids. Throws `config`. */
function sizesOf({ diskSize, volume }: RunOptions): ReadonlyMap<string, number> {
  const given = [
    ['root', '--disk-size', diskSize] as const,
    ...volumesOf(volume, []).map(({ id, size }) => [id, `-v ${id}`, size] as const),
  ];
  return new Map(
    given.flatMap(([id, option, text]) => {
      if (text === undefined) return [];
      const { data, error } = diskSizeField.safeParse(text);
      if (data !== undefined) return [[id, data] as const];
      throw new UnderstudyError('config', `${option}: ${error?.issues[0]?.message}`);
    }),
  );
}

function tell(
  made: MadeMachine,
  options: {
    readonly as: string;
    readonly egress: string;
    readonly start: boolean;
    readonly json: boolean;
  },
): void {
  const { as, egress, start, json } = options;
  if (json) {
    process.stdout.write(`${JSON.stringify(made)}\n`);
    return;
  }
  const { command, exposedPorts, volumes, pair } = made;
  const ports = exposedPorts.join(', ');
  const lines = [
    `${as} is made: it runs ${command.map(shown).join(' ')}`,
    ...volumes.map(({ disk, path: place }) => `disk ${disk} is ${place}`),
    ...(ports === '' ? [] : [`it serves ${ports} at ${guestNet.address}, egress ${egress}`]),
    ...goOnLines(pair, { startsBy: start ? undefined : '' }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** As a shell would take it. */
const shown = (word: string): string =>
  /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
