// `npm ci` must work in a fresh clone, on any platform and with any registry.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly os?: readonly string[];
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const file = path.resolve(import.meta.dirname, '../../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8')) as {
  packages: Readonly<Record<string, Locked>>;
};
const entries = Object.entries(lock.packages);

it('names the optional packages of every platform', () => {
  // Goal: npm refuses a lock without them; after `npm install`, run `npm run lock`.
  const missing = entries.flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        !(`node_modules/${name}` in lock.packages) &&
        !(`${place}/node_modules/${name}` in lock.packages),
    ),
  );
  expect(missing).toEqual([]);
});

it('names no registry, and leaves out a hash only for a package of another platform', () => {
  expect(entries.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  const unhashed = entries.filter(([place, entry]) => place !== '' && !('integrity' in entry));
  for (const [place, { os, optional }] of unhashed) {
    expect([place, optional, os?.length]).toEqual([place, true, 1]);
  }
});
