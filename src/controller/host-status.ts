/** What `understudy host status` tells: names are stable, scripts may depend on them. */
import type { Concern } from '../node/concerns.ts';
import type { ControllerCore } from './decisions/controller-core.ts';
import { type NodeKey, nameOf, pairOf } from './decisions/effects.ts';
import type { HostedNode } from './hosted-node.ts';

export interface HostedNodeStatus {
  readonly pair: string;
  readonly node: string;
  /** Its pair file, in the directory. */
  readonly file: string;
  /**
   * `behind`: another node of its pair is first; `waiting`: for its restart; `ended`: by somebody's
   * wish; `refused`, `givenUp`: until its file changes, or it is asked for.
   */
  readonly process:
    | 'behind'
    | 'starting'
    | 'running'
    | 'waiting'
    | 'stopping'
    | 'ended'
    | 'refused'
    | 'givenUp';
  /** Of its process. */
  readonly pid?: number;
  /** As `understudy status` says; not there until the node has answered. */
  readonly role?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly term?: number;
  /** After ends that nobody wished, since this host knows it. */
  readonly restarts: number;
  /** Its pair file says something else than what it has read. */
  readonly changed: boolean;
  /** What is wrong with it: as this host sees it, and as it says itself. */
  readonly concerns: readonly Concern[];
}

export interface HostStatus {
  readonly pid: number;
  /** Of pair files. */
  readonly dir: string;
  readonly stopping: boolean;
  /** What is wrong with the directory, a file, or a restart. */
  readonly concerns: readonly Concern[];
  readonly nodes: readonly HostedNodeStatus[];
}

export interface HostParts {
  readonly dir: string;
  readonly core: ControllerCore;
  readonly hosted: ReadonlyMap<string, HostedNode>;
  /** What this host has told as wrong. */
  readonly concerns: readonly Concern[];
}

export function hostStatus({ dir, core, hosted, concerns }: HostParts): HostStatus {
  const keys = new Set(core.nodes.flatMap(({ key }) => [key, silence(key)]));
  return {
    pid: process.pid,
    dir,
    stopping: core.isStopping,
    concerns: concerns.filter(({ about }) => !keys.has(about)),
    nodes: core.nodes.map((course) => {
      const { key, file, restarts, pid, place } = course;
      const said = hosted.get(key)?.status;
      const own = concerns.filter(({ about }) => about === key || about === silence(key));
      return {
        ...{ pair: pairOf(key), node: nameOf(key), file, process: place.is },
        ...(pid === undefined ? {} : { pid }),
        ...(said === undefined ? {} : { role: said.role, state: said.state, term: said.term }),
        ...(said?.reason === undefined ? {} : { reason: said.reason }),
        ...{ restarts, changed: core.isChanged(course) },
        concerns: [...own, ...(said?.concerns ?? [])],
      };
    }),
  };
}

/** What a concern calls a node that does not answer. */
export const silence = (key: NodeKey): string => `${key} itself`;
export const isSilence = (about: string): boolean => about.endsWith(' itself');
