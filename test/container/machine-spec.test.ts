// Goal: what an image says of its command, and what a person wants else, becomes one description
// that the machine can follow; what it cannot be is refused here.
import { describe, expect, it } from 'vitest';
import { accountOf } from '../../src/container/account.ts';
import { noConfig } from '../../src/container/image-json.ts';
import {
  checkVariable,
  encodeSpec,
  type RunWishes,
  specOf,
} from '../../src/container/machine-spec.ts';
import { signalNumber } from '../../src/container/stop-signal.ts';
import { volumesOf } from '../../src/container/volumes.ts';

const accounts = {
  passwd:
    'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n#\nbroken\n7:x:70:70::/7:\n',
  group: 'root:x:0:\nstaff:x:50:app,other\napp:x:1001:app\ndisk:x:6:other\n',
};

describe('the account', () => {
  it.each<[string, object]>([
    ['', { uid: 0, gid: 0, groups: [], home: '/root' }],
    ['root', { uid: 0, gid: 0, groups: [], home: '/root' }],
    ['app', { uid: 1000, gid: 1001, groups: [50], home: '/home/app' }],
    ['1000', { uid: 1000, gid: 1001, groups: [50], home: '/home/app' }],
    ['app:staff', { uid: 1000, gid: 50, groups: [], home: '/home/app' }],
    ['app:77', { uid: 1000, gid: 77, groups: [], home: '/home/app' }],
    ['65532', { uid: 65_532, gid: 0, groups: [], home: '/' }],
    ['65532:65532', { uid: 65_532, gid: 65_532, groups: [], home: '/' }],
    ['7', { uid: 70, gid: 70, groups: [], home: '/7' }],
    [':staff', { uid: 0, gid: 50, groups: [], home: '/root' }],
  ])("'%s'", (wanted, account) => {
    expect(accountOf(wanted, accounts)).toEqual(account);
  });

  it.each([
    ['nobody', "the image has no user 'nobody' in /etc/passwd"],
    ['app:wheel', "the image has no group 'wheel' in /etc/group"],
    ['a:b:c', 'it must be USER or USER:GROUP'],
    ['-1', "the image has no user '-1'"],
    ['4294967295', 'the image has no user'],
  ])("'%s' is refused", (wanted, says) => {
    expect(() => accountOf(wanted, accounts)).toThrow(says);
  });

  it('an image without users has root', () => {
    const none = { passwd: '', group: '' };
    expect(accountOf('', none)).toEqual({ uid: 0, gid: 0, groups: [], home: '/' });
  });
});

it.each<[string, number]>([
  ['SIGTERM', 15],
  ['quit', 3],
  ['9', 9],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
  ['SIGRTMIN', 34],
])('the stop signal %s', (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

it.each(['SIGNOTHING', '0', '65', '1.5', 'RTMIN+31', ''])('%s is no signal', (name) => {
  expect(() => signalNumber(name)).toThrow(`'${name}' as StopSignal, which is no signal`);
});

const wishes: RunWishes = { command: [], env: [], user: undefined, workingDir: undefined };
const machine = { name: 'web', accounts, volumes: ['/data'] };
const image = {
  ...noConfig,
  entrypoint: ['/entry', '--'],
  cmd: ['serve', 'a b'],
  env: ['PATH=/opt/bin', 'LANG=C'],
  user: 'app',
  workingDir: '/srv',
  stopSignal: 'SIGQUIT',
};

describe('the machine', () => {
  it('is as the image says', () => {
    expect(specOf(image, wishes, machine)).toEqual({
      argv: ['/entry', '--', 'serve', 'a b'],
      env: ['PATH=/opt/bin', 'HOSTNAME=web', 'HOME=/home/app', 'TERM=xterm', 'LANG=C'],
      cwd: '/srv',
      account: { uid: 1000, gid: 1001, groups: [50], home: '/home/app' },
      hostname: 'web',
      stopSignal: 3,
      stopSeconds: 10,
      volumes: ['/data'],
    });
  });

  it('is as a person wants it else', () => {
    const other = { command: ['sh'], env: ['LANG=de', 'X=a=b'], user: '0', workingDir: '/tmp' };
    const spec = specOf({ ...image, hostname: 'db' }, other, machine);
    expect(spec).toMatchObject({ argv: ['/entry', '--', 'sh'], cwd: '/tmp', hostname: 'db' });
    expect(spec.account).toMatchObject({ uid: 0, home: '/root' });
    expect(spec.env).toEqual([
      ...['PATH=/opt/bin', 'HOSTNAME=db', 'HOME=/root', 'TERM=xterm', 'LANG=de', 'X=a=b'],
    ]);
  });

  it('needs a command, and a directory that begins at the root', () => {
    expect(() => specOf(noConfig, wishes, machine)).toThrow('does not say which command it runs');
    expect(() => specOf({ ...image, workingDir: 'srv' }, wishes, machine)).toThrow("it is 'srv'");
  });

  it('is told to it byte for byte', () => {
    const spec = specOf(image, wishes, machine);
    const fields = encodeSpec(spec).toString().split('\0');
    const pairs = fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : []));
    expect(pairs).toEqual([
      ...spec.argv.map((word) => ['arg', word]),
      ...spec.env.map((text) => ['env', text]),
      ...[
        ['cwd', '/srv'],
        ['uid', '1000'],
        ['gid', '1001'],
        ['group', '50'],
      ],
      ...[
        ['hostname', 'web'],
        ['stop', '3'],
        ['patience', '10'],
        ['volume', '/data'],
      ],
      ['', undefined],
    ]);
    expect(() => encodeSpec({ ...spec, argv: ['a\0b'] })).toThrow('a NUL in arg');
  });
});

it('a variable has a name and a value', () => {
  for (const good of ['A=', 'A=b=c', 'a.b=1']) expect(() => checkVariable(good)).not.toThrow();
  for (const bad of ['A', '', '=x']) {
    expect(() => checkVariable(bad)).toThrow(`must be NAME=VALUE: current value is '${bad}'`);
  }
});

describe('volumes', () => {
  it('are those that are given, and those of the image', () => {
    expect(volumesOf(['logs:/var/log:64M', 'data:/data/'], ['/data', '/cache', '/a/b'])).toEqual([
      { id: 'vol2', place: '/a/b', size: undefined },
      { id: 'vol1', place: '/cache', size: undefined },
      { id: 'data', place: '/data', size: undefined },
      { id: 'logs', place: '/var/log', size: '64M' },
    ]);
  });

  it('have each a name: one that is taken is not given', () => {
    const ids = volumesOf(['vol1:/x'], ['/y']).map(({ id }) => id);
    expect(ids).toEqual(['vol1', 'vol2']);
  });

  it.each([
    [['/srv:/data'], "'/srv:/data' is a directory of this host"],
    [['./x:/data'], 'is a directory of this host'],
    [['~/x:/data'], 'is a directory of this host'],
    [['data'], 'must be NAME:/path or NAME:/path:SIZE'],
    [['Data:/x'], "'Data' is no name of a disk"],
    [['net0:/x'], "'net0' is no name of a disk"],
    [['data:x'], "'x' is no place for one"],
    [['data:/'], "'/' is no place for one"],
    [['data:/proc/x'], "'/proc/x' is no place"],
    [['data:/x/../dev'], 'is no place'],
    [['data:/x:ro'], "'ro' is no size"],
    [['data:/x:1G:2'], 'must be NAME:/path'],
    [['root:/x'], "two volumes have one name, or 'root'"],
    [['a:/x', 'a:/y'], 'two volumes have one name'],
    [['a:/x', 'b:/x/'], 'two volumes have one path'],
    [
      ['a:/1', 'b:/2', 'c:/3', 'd:/4', 'e:/5', 'f:/6', 'g:/7', 'h:/8'],
      'there are 8, and at most 7',
    ],
  ])('%j is refused', (given, says) => {
    expect(() => volumesOf(given, [])).toThrow(says);
  });
});
