/** A group file is complete, or each of its problems is told. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadGroup } from '../../src/group/group-file.ts';
import { scratchDirectory } from '../store/rig.ts';

function pairFile(directory: string, name: string, more = 'snapshots: { store: kept }'): string {
  const file = path.join(directory, `${name}.yaml`);
  const nodes = "{ a: { listen: 'ws://127.0.0.1:9001' }, b: { listen: 'ws://127.0.0.1:9002' } }";
  const text = `pair: ${name}\nvm: vm.yaml\narbiter: 'file:terms'\nnodes: ${nodes}\n${more}\n`;
  fs.writeFileSync(file, text);
  return file;
}

function groupFile(text: string, more?: string): string {
  const directory = scratchDirectory();
  for (const name of ['web', 'db']) pairFile(directory, name, more);
  const file = path.join(directory, 'group.yaml');
  fs.writeFileSync(file, text);
  return file;
}

const members = 'members: { web: web.yaml, db: db.yaml }';

describe('a group file', () => {
  it('names its members by paths relative to it', () => {
    const file = groupFile(
      `group: bank\n${members}\nsets: sets\nevery: 10s\nkeep: { last: 20 }\nholdMax: 100ms\n`,
    );
    const base = path.dirname(file);
    expect(loadGroup(file)).toEqual({
      ...{ name: 'bank', sets: path.join(base, 'sets') },
      ...{ everyMs: 10_000, keepLast: 20, holdMaxMs: 100 },
      members: ['web', 'db'].map((name) => ({
        ...{ name, pair: name, pairFile: path.join(base, `${name}.yaml`) },
        store: path.join(base, 'kept'),
      })),
    });
  });

  it('needs no more than members and a place for the sets', () => {
    const file = groupFile(`group: bank\n${members}\nsets: sets\n`);
    expect(loadGroup(file)).toMatchObject({ holdMaxMs: 250, everyMs: undefined });
  });

  const wrong: [string, string, RegExp][] = [
    [
      'an unknown key',
      `group: b\n${members}\nset: s\n`,
      /unknown key 'set': did you mean 'sets'\?/,
    ],
    ['a short time', `group: b\n${members}\nsets: s\nevery: 10ms\n`, /every: must be a time such/],
    ['one member', 'group: b\nmembers: { web: web.yaml }\nsets: s\n', /must be 2 to 16: .* is 1/],
    [
      'a member twice',
      'group: b\nmembers: { web: web.yaml, db: web.yaml }\nsets: s\n',
      /members.db: is pair 'web' with the store of 'web'/,
    ],
    ['no YAML', 'group: [', /is not YAML/],
    [
      'a pair file that is not there',
      'group: b\nmembers: { a: x.yaml, b: y.yaml }\nsets: s\n',
      /x.yaml/,
    ],
  ];
  for (const [what, text, reason] of wrong) {
    it(`with ${what} is refused`, () => {
      expect(() => loadGroup(groupFile(text))).toThrow(reason);
    });
  }

  it('of a pair that keeps no snapshots is refused', () => {
    const file = groupFile(`group: b\n${members}\nsets: s\n`, '');
    expect(() => loadGroup(file)).toThrow(/of 'web' has no snapshots/);
  });
});
