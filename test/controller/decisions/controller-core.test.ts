/** What a host does about its nodes when files come and go, nodes end, and people ask. */
import { describe, expect, it } from 'vitest';
import type { FileReading } from '../../../src/controller/decisions/effects.ts';
import { controllerLimits } from '../../../src/controller/limits.ts';
import { HostRig, pairSays, tickMs } from './host-rig.ts';

const { firstNodeMs, restartMsMin, restartsMax, restartMsMax, stopMs } = controllerLimits;
const bad: FileReading = { kind: 'bad', problem: 'it is no YAML' };

/** A host whose pair `web` runs, and is protected. */
function protectedHost(): HostRig {
  const rig = new HostRig();
  rig.seen('web.yaml', pairSays('web'));
  rig.protect('web');
  rig.take();
  return rig;
}

/** A node that is restarted until it is given up. */
function giveUp(rig: HostRig, node: string): void {
  for (let count = 0; count <= restartsMax; count += 1) {
    rig.ended(node, 1, 'exit code 1: no such bridge');
    rig.pass(restartMsMax);
  }
}

describe('files', () => {
  it('a new one: its first node is started, the second when that has said what it is (1, 6)', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web'));
    expect(rig.take()).toEqual(['start web/a']);
    rig.says('web/a', 'starting', 'starting');
    rig.pass(1_000);
    expect(rig.take()).toEqual([]);
    rig.says('web/a', 'primary', 'alone');
    expect(rig.take()).toEqual(['start web/b']);
  });

  it('the first node waits for the one that spoke last: that one is started (6)', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web'));
    rig.says('web/a', 'starting', 'waiting');
    expect(rig.take()).toEqual(['start web/a', 'start web/b']);
  });

  it('the first node says nothing, or ends: the second is not kept for ever (6)', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web'));
    rig.pass(firstNodeMs);
    expect(rig.take()).toEqual(['start web/a', 'start web/b']);
    rig.seen('mail.yaml', pairSays('mail'));
    rig.ended('mail/a', 2);
    expect(rig.take()).toEqual(['start mail/a', 'start mail/b']);
  });

  it('one that is taken away: its backup is stopped, then its primary, and no other (4)', () => {
    const rig = protectedHost();
    rig.seen('mail.yaml', pairSays('mail', ['a']));
    rig.take();
    rig.step({ type: 'fileGone', file: 'web.yaml' });
    expect(rig.take()).toEqual(['stop web/b']);
    rig.pass(1_000);
    rig.ended('web/b', 0);
    expect(rig.take()).toEqual(['stop web/a']);
    rig.ended('web/a', 0);
    rig.pass(1_000);
    expect(rig.take()).toEqual([]);
    expect(rig.core.nodes.map(({ key }) => key)).toEqual(['mail/a']);
  });

  it('one that is back before its nodes have ended: they are started again', () => {
    const rig = protectedHost();
    rig.step({ type: 'fileGone', file: 'web.yaml' });
    rig.seen('web.yaml', pairSays('web'));
    rig.ended('web/b', 0);
    expect(rig.take()).toEqual(['stop web/b', 'start web/b']);
    expect(rig.placeOf('web/a')).toBe('running');
  });

  it('one that was renamed: its nodes go on', () => {
    const rig = protectedHost();
    rig.seen('shop.yaml', pairSays('web'));
    expect(rig.core.problems().get('shop.yaml')).toContain("that of 'web.yaml' already");
    rig.step({ type: 'fileGone', file: 'web.yaml' });
    rig.pass(1_000);
    expect(rig.take()).toEqual([]);
    expect(rig.core.problems().size).toBe(0);
    rig.step({ type: 'fileGone', file: 'shop.yaml' });
    expect(rig.take()).toEqual(['stop web/b']);
  });

  it('one that changes: nothing is stopped; it is told, and read at the next start (3)', () => {
    const rig = protectedHost();
    rig.seen('web.yaml', pairSays('web', ['a', 'b'], '2'));
    rig.pass(1_000);
    expect(rig.take()).toEqual(['note web/a', 'note web/b']);
    expect(rig.core.nodes.map((node) => rig.core.isChanged(node))).toEqual([true, true]);
    rig.ended('web/b', 1);
    rig.pass(restartMsMin);
    expect(rig.take()).toEqual(['start web/b']);
    expect(rig.core.nodes.map((node) => rig.core.isChanged(node))).toEqual([true, false]);
  });

  it('one that gets wrong: what runs goes on; what ends waits until it is right (5)', () => {
    const rig = protectedHost();
    rig.seen('web.yaml', bad);
    rig.pass(1_000);
    rig.ended('web/b', 1);
    rig.pass(60_000);
    expect(rig.take()).toEqual([]);
    expect(rig.core.problems().get('web.yaml')).toBe('it is no YAML');
    rig.seen('web.yaml', pairSays('web'));
    expect(rig.take()).toEqual(['start web/b']);
  });

  it('a wrong one beside good ones: told, and the others are started (5)', () => {
    const rig = new HostRig();
    rig.seen('bad.yaml', bad);
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.seen('far.yaml', {
      ...pairSays('far', []),
      none: 'no node of it belongs to this host',
    } as FileReading);
    expect(rig.take()).toEqual(['start web/a']);
    expect([...rig.core.problems()]).toEqual([
      ['bad.yaml', 'it is no YAML'],
      ['far.yaml', 'no node of it belongs to this host'],
    ]);
  });

  it('the machine of a pair beside its file is not wrong', () => {
    const rig = new HostRig();
    rig.seen('web-vm.yaml', bad);
    expect(rig.core.problems().size).toBe(1);
    rig.seen('web.yaml', pairSays('web', ['a']));
    expect(rig.core.problems().size).toBe(0);
  });

  it('two that name one pair: the first has it, the second when the first is gone', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.seen('copy.yaml', pairSays('web', ['b']));
    expect(rig.take()).toEqual(['start web/a']);
    expect([...rig.core.problems().keys()]).toEqual(['copy.yaml']);
    rig.step({ type: 'fileGone', file: 'web.yaml' });
    rig.ended('web/a', 0);
    rig.pass(tickMs);
    expect(rig.take()).toEqual(['stop web/a', 'start web/b']);
    expect(rig.core.problems().size).toBe(0);
  });

  it('a pair gets another name: its machine goes on under the old one, until restarted', () => {
    const rig = protectedHost();
    rig.seen('web.yaml', pairSays('shop', ['a', 'b'], '2'));
    rig.pass(60_000);
    expect(rig.take().filter((what) => !what.startsWith('note'))).toEqual([]);
    expect(rig.core.problems().get('web/a')).toContain('does not have it any more');
    rig.ask('web', true);
    rig.ended('web/b', 0);
    rig.ended('web/a', 0);
    rig.pass(tickMs);
    expect(rig.take()).toEqual(['stop web/b', 'stop web/a', 'start shop/a']);
    expect(rig.core.nodes.map(({ key }) => key)).toEqual(['shop/a', 'shop/b']);
  });
});

describe('nodes that end', () => {
  it('by somebody’s wish: they rest, also when the file is saved again (1)', () => {
    const rig = protectedHost();
    rig.ended('web/b', 0);
    rig.seen('web.yaml', pairSays('web', ['a', 'b'], '2'));
    rig.pass(600_000);
    expect(rig.take()).toEqual(['note web/a']);
    expect(rig.placeOf('web/b')).toBe('ended');
    rig.ask('web/b');
    expect(rig.take()).toEqual(['start web/b']);
  });

  it('killed: restarted after a moment, and counted', () => {
    const rig = protectedHost();
    rig.ended('web/a', undefined, 'signal SIGKILL');
    expect(rig.core.problems().get('web/a')).toContain('signal SIGKILL');
    rig.pass(restartMsMin - tickMs);
    expect(rig.take()).toEqual([]);
    rig.pass(tickMs);
    expect(rig.take()).toEqual(['start web/a']);
    expect(rig.core.nodes.map(({ restarts }) => restarts)).toEqual([1, 0]);
    expect(rig.core.problems().size).toBe(0);
  });

  it('because their file is wrong: tried again when it changes, or by request', () => {
    const rig = protectedHost();
    rig.ended('web/b', 2, 'exit code 2: unknown egress');
    rig.pass(600_000);
    rig.seen('web.yaml', pairSays('web'));
    expect(rig.take()).toEqual([]);
    expect(rig.core.problems().get('web/b')).toContain('exit code 2: unknown egress');
    rig.seen('web.yaml', pairSays('web', ['a', 'b'], '2'));
    expect(rig.take()).toEqual(['note web/a', 'start web/b']);
    rig.ended('web/b', 2);
    rig.ask('web/b');
    expect(rig.take()).toEqual(['start web/b']);
  });

  it('again and again: given up and told, until the file changes', () => {
    const rig = protectedHost();
    giveUp(rig, 'web/b');
    expect(rig.take()).toHaveLength(restartsMax);
    rig.pass(3_600_000);
    expect(rig.take()).toEqual([]);
    expect(rig.core.problems().get('web/b')).toContain('no such bridge');
    rig.seen('web.yaml', pairSays('web', ['a', 'b'], '2'));
    expect(rig.take()).toEqual(['note web/a', 'start web/b']);
    expect(rig.core.problems().size).toBe(0);
  });

  it('before they were started: as any failure', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.take();
    rig.living.delete('web/a');
    rig.step({ type: 'notStarted', node: 'web/a', reason: 'no processes left' });
    expect(rig.core.problems().get('web/a')).toContain('no processes left');
    rig.pass(restartMsMin);
    expect(rig.take()).toEqual(['start web/a']);
  });

  it('a process of before is not taken for the one of now (node-course, 4)', () => {
    const rig = protectedHost();
    const ending = { code: 0, reason: 'exit code 0' };
    rig.step({ type: 'ended', node: 'web/a', pid: 1, ending });
    const seen = { role: 'backup', state: 'connecting' };
    rig.step({ type: 'statusSeen', node: 'web/a', pid: 1, seen });
    expect(rig.placeOf('web/a')).toBe('running');
    expect(rig.core.nodes[0]?.seen).toEqual({ role: 'primary', state: 'protected' });
  });
});

describe('a host that follows another one', () => {
  it('nodes that run are not started; they are stopped, restarted and seen as its own', () => {
    const rig = new HostRig();
    rig.living.set('web/a', 7);
    rig.step({ type: 'found', node: 'web/a', file: 'web.yaml', pid: 7, digest: '1' });
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.pass(1_000);
    expect(rig.take()).toEqual([]);
    rig.seen('web.yaml', pairSays('web', ['a'], '2'));
    expect(rig.core.nodes.map((node) => rig.core.isChanged(node))).toEqual([true]);
    rig.ended('web/a', undefined);
    rig.pass(restartMsMin);
    expect(rig.take()).toEqual(['note web/a', 'start web/a']);
  });

  it('the file of one that runs is wrong now: it goes on, and is stopped with the host', () => {
    const rig = new HostRig();
    rig.living.set('web/a', 7);
    rig.step({ type: 'found', node: 'web/a', file: 'web.yaml', pid: 7, digest: '1' });
    rig.seen('web.yaml', bad);
    rig.pass(60_000);
    expect(rig.take()).toEqual([]);
    rig.step({ type: 'stopAsked' });
    rig.ended('web/a', 0);
    expect(rig.take()).toEqual(['stop web/a', 'leave']);
  });

  it('the file of one that runs was taken away meanwhile: it is stopped', () => {
    const rig = new HostRig();
    rig.living.set('web/a', 7);
    rig.step({ type: 'found', node: 'web/a', file: 'web.yaml', pid: 7, digest: '1' });
    rig.step({ type: 'fileGone', file: 'web.yaml' });
    expect(rig.take()).toEqual(['stop web/a']);
  });

  it('a node that somebody else has started waits for no other one', () => {
    const rig = new HostRig();
    const nodes = [
      { name: 'a', isLiving: false },
      { name: 'b', isLiving: true },
    ];
    rig.seen('web.yaml', { ...pairSays('web'), nodes } as FileReading);
    expect(rig.take()).toEqual(['start web/a', 'start web/b']);
  });
});

describe('a restart that is asked for', () => {
  it('a pair: its backup, then its primary when that one protects again (rolling, 2)', () => {
    const rig = protectedHost();
    expect(rig.ask('web')).toEqual({ nodes: ['web/b', 'web/a'] });
    expect(rig.take()).toEqual(['stop web/b']);
    rig.ended('web/b', 0);
    expect(rig.take()).toEqual(['start web/b']);
    // What the primary said before is no word of the new backup.
    rig.says('web/a', 'primary', 'protected');
    rig.says('web/b', 'backup', 'seeding');
    rig.pass(60_000);
    expect(rig.take()).toEqual([]);
    expect(rig.core.problems().get('web')).toContain('restart of web/a waits');
    rig.says('web/b', 'backup', 'protecting');
    expect(rig.take()).toEqual(['stop web/a']);
    rig.ended('web/a', 0);
    expect(rig.take()).toEqual(['start web/a']);
    expect(rig.core.problems().size).toBe(0);
  });

  it('a primary without a backup: refused; with force it is done (rolling, 1, 3)', () => {
    const rig = protectedHost();
    rig.says('web/a', 'primary', 'alone');
    rig.says('web/b', 'backup', 'connecting');
    expect(rig.ask('web/a')).toMatchObject({
      code: 'link',
      hint: expect.stringContaining('--force'),
    });
    expect(rig.take()).toEqual([]);
    expect(rig.ask('web/a', true)).toEqual({ nodes: ['web/a'] });
    expect(rig.take()).toEqual(['stop web/a']);
  });

  it('a primary whose backup is on another host: when it says that it is protected', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.says('web/a', 'primary', 'seeding');
    expect(rig.ask('web')).toMatchObject({ code: 'link' });
    rig.says('web/a', 'primary', 'protected');
    expect(rig.ask('web')).toEqual({ nodes: ['web/a'] });
  });

  it('a node that does not answer may be the primary: only with force', () => {
    const rig = new HostRig();
    rig.seen('web.yaml', pairSays('web', ['a']));
    rig.take();
    expect(rig.ask('web/a')).toMatchObject({ code: 'link' });
    rig.ask('web/a', true);
    expect(rig.take()).toEqual(['stop web/a']);
  });

  it('a node that does not answer any more: what it said before does not count', () => {
    const rig = protectedHost();
    const pid = rig.living.get('web/b') ?? 0;
    rig.step({ type: 'statusSeen', node: 'web/b', pid, seen: undefined });
    expect(rig.ask('web/a')).toMatchObject({ code: 'link' });
    expect(rig.take()).toEqual([]);
  });

  it('a pair whose file is wrong now: refused, as it could not be started again', () => {
    const rig = protectedHost();
    rig.seen('web.yaml', bad);
    expect(rig.ask('web', true)).toMatchObject({ code: 'config' });
    expect(rig.take()).toEqual([]);
    rig.seen('web.yaml', pairSays('web'));
    rig.ask('web');
    rig.ended('web/b', 0);
    rig.seen('web.yaml', bad);
    rig.says('web/b', 'backup', 'protecting');
    expect(rig.take()).toEqual(['stop web/b', 'start web/b']);
    rig.seen('web.yaml', pairSays('web'));
    expect(rig.take()).toEqual(['stop web/a']);
  });

  it('what is not there: says what is', () => {
    const hint = expect.stringContaining('web/a, web/b');
    expect(protectedHost().ask('web/c')).toMatchObject({ code: 'config', hint });
    expect(protectedHost().ask('mail')).toMatchObject({ code: 'config', hint });
  });

  it('a node that was stopped for it is started, whatever its exit code (node-course, 3)', () => {
    const rig = protectedHost();
    rig.ask('web/b');
    rig.ended('web/b', 2);
    expect(rig.take()).toEqual(['stop web/b', 'start web/b']);
  });
});

describe('the end of the host', () => {
  it('backups first, then primaries, then it leaves, once (4, 7)', () => {
    const rig = protectedHost();
    rig.seen('mail.yaml', pairSays('mail', ['a']));
    rig.take();
    rig.step({ type: 'stopAsked' });
    expect(rig.take()).toEqual(['stop web/b', 'stop mail/a']);
    rig.ended('mail/a', 0);
    rig.ended('web/b', 0);
    expect(rig.take()).toEqual(['stop web/a']);
    rig.ended('web/a', 1);
    expect(rig.take()).toEqual(['leave']);
    rig.step({ type: 'stopAsked' });
    rig.seen('new.yaml', pairSays('new'));
    rig.pass(60_000);
    expect(rig.take()).toEqual([]);
    expect(rig.ask('web')).toMatchObject({ problem: 'The host is ending' });
  });

  it('a host without nodes leaves at once', () => {
    const rig = new HostRig();
    rig.step({ type: 'stopAsked' });
    expect(rig.take()).toEqual(['leave']);
  });

  it('a node that does not end is killed, once', () => {
    const rig = protectedHost();
    rig.step({ type: 'stopAsked' });
    rig.pass(stopMs + 10_000);
    expect(rig.take()).toEqual(['stop web/b', 'kill web/b']);
    rig.ended('web/b', undefined);
    expect(rig.take()).toEqual(['stop web/a']);
  });
});
