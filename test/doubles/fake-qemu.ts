/** A program that says what a QEMU says of itself, and runs no machine. */
import fs from 'node:fs';
import path from 'node:path';

export interface FakeQemu {
  /** As in `--version`. @default '7.2.22' */
  readonly version?: string;
  /** Whose machines it has; `pc` is that of the first. @default ['7.2'] */
  readonly releases?: readonly string[];
  /** Where it looks for firmware. @default where it lies */
  readonly dataDir?: string;
}

/** Returns its path. */
export function writeFakeQemu(file: string, options: FakeQemu = {}): string {
  const { version = '7.2.22', releases = ['7.2'], dataDir = path.dirname(file) } = options;
  const machines = releases.map((name) => `pc-i440fx-${name} Standard PC (i440FX + PIIX, 1996)`);
  const text = `#!/bin/sh
case "$1" in
--version) echo 'QEMU emulator version ${version}' ;;
-L) echo '${dataDir}' ;;
-machine) cat <<'END' ;;
Supported machines are:
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-${releases[0]})
${machines.join('\n')}
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-${releases[0]})
none                 empty machine
END
esac
`;
  fs.writeFileSync(file, text, { mode: 0o755 });
  return file;
}
