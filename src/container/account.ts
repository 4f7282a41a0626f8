/** Who runs the command of an image: by the image's own users and groups. */
import { UnderstudyError } from '../base/errors.ts';

export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** Others than `gid`. */
  readonly groups: readonly number[];
  readonly home: string;
}

export interface AccountFiles {
  /** Contents of /etc/passwd and /etc/group; empty when the image has none. */
  readonly passwd: string;
  readonly group: string;
}

/**
 * `wanted` is `USER` or `USER:GROUP`, each a name or a number; empty: root. A number need not be in
 * the files; without a group it is in that of its user, and in those that list it.
 *
 * @throws UnderstudyError `config` for a name that is not there.
 */
export function accountOf(wanted: string, { passwd, group }: AccountFiles): Account {
  const [userName = '', groupName, ...more] = wanted.split(':');
  if (more.length > 0) throw unknown(wanted, 'it must be USER or USER:GROUP');
  const users = recordsOf(passwd, 7);
  const groups = recordsOf(group, 4);
  const user = find(users, userName === '' ? '0' : userName);
  const uid = user?.number ?? numberIn(userName === '' ? '0' : userName);
  if (uid === undefined) {
    throw unknown(wanted, `the image has no user '${userName}' in /etc/passwd`);
  }
  const home = user?.fields[5] || '/';
  if (groupName !== undefined && groupName !== '') {
    const gid = find(groups, groupName)?.number ?? numberIn(groupName);
    if (gid !== undefined) return { uid, gid, groups: [], home };
    throw unknown(wanted, `the image has no group '${groupName}' in /etc/group`);
  }
  const gid = numberIn(user?.fields[3] ?? '') ?? 0;
  const isMember = (members: string): boolean =>
    user !== undefined && members.split(',').includes(user.fields[0] as string);
  const listed = groups.filter(({ fields }) => isMember(fields[3] as string));
  const others = new Set(listed.map(({ number }) => number));
  others.delete(gid);
  return { uid, gid, groups: [...others], home };
}

interface Entry {
  readonly number: number;
  readonly fields: readonly string[];
}

function recordsOf(text: string, fieldCount: number): Entry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(':');
    const number = numberIn(fields[2] ?? '');
    return fields.length === fieldCount && number !== undefined ? [{ number, fields }] : [];
  });
}

/** By name; a name of digits that nobody has is a number. */
function find(entries: readonly Entry[], wanted: string): Entry | undefined {
  return (
    entries.find(({ fields }) => fields[0] === wanted) ??
    entries.find(({ number }) => number === numberIn(wanted))
  );
}

function numberIn(text: string): number | undefined {
  const number = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  return number <= 0xffff_fffe ? number : undefined;
}

const unknown = (wanted: string, why: string): UnderstudyError =>
  new UnderstudyError('config', `The command cannot be run as '${wanted}': ${why}`, {
    hint: 'give another with -u, such as -u 1000:1000',
  });
