/** The shape of a VM file. What each key means is in docs/vm-file.md. */
import { z } from 'zod';
import {
  diskIdField,
  diskSizeField,
  fileField,
  imageField,
  imageSizeProblem,
  macField,
  memoryField,
  must,
  nameField,
  portField,
  textUnless,
} from './fields.ts';
import {
  refusedBootKeys,
  refusedBus,
  refusedCpu,
  refusedDiskKeys,
  refusedFormat,
  refusedKeys,
  refusedMachine,
  refusedModel,
  refusedNicKeys,
} from './refusals.ts';

/** Each disk and card is a PCI device; the bus has 32 slots, some of them taken. */
const devicesMax = 8;
/** A PC has four serial ports, and the first is the console. */
const portsMax = 3;
/** The kernel's own limit is 2048 on x86. */
const appendMaxChars = 2047;

/** The QEMU program of a file that names none. */
export const defaultQemu = 'qemu-system-x86_64';

const cpuText = 'a CPU model of QEMU, such as qemu64 or qemu64,+ssse3';

const programField = (what: string) =>
  z.string(must(`the path or name of ${what}`)).min(1, must(`the path or name of ${what}`));

/** A bound of a list, and of nothing else: zod's own `max` counts the letters of a text, too. */
const atMost = (max: number, what: string) =>
  [
    (list: readonly unknown[]): boolean => list.length <= max,
    must(`at most ${max} ${what}`),
  ] as const;

/** The schema for a file in `baseDir`, to which its paths are relative. */
export function vmSchema(baseDir: string) {
  const boot = z.strictObject(
    {
      disk: z.literal(true, must('true, or left out')).optional(),
      kernel: fileField(baseDir, 'the path of a Linux kernel (bzImage)').optional(),
      initrd: fileField(baseDir, 'the path of an initial RAM disk').optional(),
      append: z
        .string(must('the command line of the kernel'))
        .max(appendMaxChars, must(`at most ${appendMaxChars} characters`))
        .optional(),
    },
    must('`kernel: PATH` (with `initrd` and `append`), or `disk: true`'),
  );
  const disk = z
    .strictObject(
      {
        id: diskIdField.optional(),
        path: imageField(baseDir).optional(),
        size: diskSizeField.optional(),
        readOnly: z.boolean(must('true or false')).default(false),
        discard: z.boolean(must('true or false')).default(true),
        format: textUnless('raw', refusedFormat).optional(),
        bus: textUnless('virtio', refusedBus).optional(),
      },
      must('a disk: `id`, `path`, `readOnly`'),
    )
    .superRefine(({ path, size }, context) => {
      const problem = path === undefined ? undefined : imageSizeProblem(path, size);
      if (problem !== undefined)
        context.addIssue({ code: 'custom', path: ['size'], message: problem });
    });
  const nic = z.strictObject(
    {
      mac: macField.optional(),
      model: textUnless('virtio-net', refusedModel).optional(),
    },
    must('a network card: `{ mac: 52:54:00:12:34:56 }`, or `{}` for an address made from the name'),
  );
  return z.strictObject(
    {
      name: nameField,
      memory: memoryField,
      boot: boot.optional(),
      disks: z
        .array(disk, must('a list of disks'))
        .refine(...atMost(devicesMax, 'disks'))
        .default([]),
      nics: z
        .array(nic, must('a list of network cards'))
        .refine(...atMost(devicesMax, 'network cards'))
        .default([]),
      console: z
        .literal(true, must('true, or left out: the first serial port is the console'))
        .default(true),
      ports: z
        .array(portField, must('a list of names of serial ports, such as [agent]'))
        .refine(...atMost(portsMax, 'serial ports beside the console'))
        .default([]),
      cpu: textUnless(cpuText, refusedCpu)
        .regex(/^[A-Za-z0-9._-]+(,[+-]?[a-z0-9._-]+(=[a-z0-9._-]+)?)*$/i, must(cpuText))
        .default('qemu64'),
      machine: textUnless('pc, or a full name such as pc-i440fx-7.2', refusedMachine).default('pc'),
      qemu: programField('the QEMU program').default(defaultQemu),
      upgradeFrom: programField('an older QEMU program').optional(),
      firmware: fileField(baseDir, 'the path of a firmware image').optional(),
    },
    must('a mapping of keys, such as `name: web`'),
  );
}

/** What the schema makes of a valid file. */
export type VmFile = z.output<ReturnType<typeof vmSchema>>;

/** Keys of the mapping at a place in the file, and the reasons against others. */
export function keysAt(place: readonly PropertyKey[]): {
  readonly known: readonly string[];
  readonly refused: Readonly<Record<string, string>>;
} {
  const inside = new Map([
    ['boot', { known: ['disk', 'kernel', 'initrd', 'append'], refused: refusedBootKeys }],
    [
      'disks',
      {
        known: ['id', 'path', 'size', 'readOnly', 'discard', 'format', 'bus'],
        refused: refusedDiskKeys,
      },
    ],
    ['nics', { known: ['mac', 'model'], refused: refusedNicKeys }],
  ]);
  const top = { known: Object.keys(vmSchema('/').shape), refused: refusedKeys };
  return inside.get(String(place[0])) ?? top;
}
