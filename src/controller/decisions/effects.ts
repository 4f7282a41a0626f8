/**
 * What the decisions of a host are told, and what they say is to be done: data, so that a test has
 * both in its hands. Times are milliseconds of any clock that only goes forward.
 */

/** `PAIR/NODE`. */
export type NodeKey = string;

/** A node of a pair file that belongs to this host. */
export interface NodeHere {
  readonly name: string;
  /** There is a process that is this node already: nothing has to wait for another one. */
  readonly isLiving: boolean;
}

/** What a file of the directory says. */
export type FileReading =
  | {
      readonly kind: 'pair';
      /** Of its content. */
      readonly digest: string;
      readonly pair: string;
      readonly vmFile: string;
      /** In the order of the file. */
      readonly nodes: readonly NodeHere[];
      /** Why there is none. */
      readonly none?: string | undefined;
    }
  | { readonly kind: 'bad'; readonly problem: string };

/** What a node says of itself: its status (src/node/control-server.ts). */
export interface Seen {
  readonly role: string;
  readonly state: string;
}

/** How a node's process ended. */
export interface Ending {
  /** `undefined`: not known, or a signal ended it. */
  readonly code: number | undefined;
  /** In words: "exit code 1: ...". */
  readonly reason: string;
}

export type HostEvent =
  | { readonly type: 'timer' }
  | { readonly type: 'fileSeen'; readonly file: string; readonly reading: FileReading }
  | { readonly type: 'fileGone'; readonly file: string }
  /** A process that an earlier host has started, before any file is seen. */
  | {
      readonly type: 'found';
      readonly node: NodeKey;
      readonly file: string;
      readonly pid: number;
      readonly digest: string | undefined;
    }
  /** `digest`: of the file that it has read, if that is known. */
  | {
      readonly type: 'started';
      readonly node: NodeKey;
      readonly pid: number;
      readonly digest: string | undefined;
    }
  | { readonly type: 'notStarted'; readonly node: NodeKey; readonly reason: string }
  | {
      readonly type: 'ended';
      readonly node: NodeKey;
      readonly pid: number;
      readonly ending: Ending;
    }
  /** What the process says of itself now; `undefined`: it does not answer. */
  | {
      readonly type: 'statusSeen';
      readonly node: NodeKey;
      readonly pid: number;
      readonly seen: Seen | undefined;
    }
  | {
      readonly type: 'restartAsked';
      readonly ask: number;
      /** `PAIR` or `PAIR/NODE`. */
      readonly what: string;
      /** Also of a machine that nobody else could go on with. */
      readonly force: boolean;
    }
  | { readonly type: 'stopAsked' };

/** What will be restarted, in its order; or why it is not. */
export type RestartAnswer =
  | { readonly nodes: readonly NodeKey[] }
  | {
      /** `config`: what was asked for is not there; `link`: it may not be done now. */
      readonly code: 'config' | 'link';
      readonly problem: string;
      readonly hint: string;
    };

export type HostEffect =
  /** Adopts a process that is this node, or starts one; answered by `started` or `notStarted`. */
  | { readonly type: 'start'; readonly node: NodeKey; readonly file: string }
  /** As `understudy stop`; answered by `ended`. */
  | { readonly type: 'stop'; readonly node: NodeKey; readonly pid: number }
  /** At once, and for certain. */
  | { readonly type: 'kill'; readonly node: NodeKey; readonly pid: number }
  | {
      readonly type: 'answer';
      readonly ask: number;
      readonly answer: RestartAnswer;
    }
  | { readonly type: 'note'; readonly about: string; readonly message: string }
  /** All nodes have ended; so may the host. */
  | { readonly type: 'leave' };

export const keyOf = (pair: string, name: string): NodeKey => `${pair}/${name}`;
export const pairOf = (key: NodeKey): string => key.slice(0, key.indexOf('/'));
export const nameOf = (key: NodeKey): string => key.slice(key.indexOf('/') + 1);
