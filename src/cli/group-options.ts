/** What the verbs of `understudy group` are called with. */
export interface GroupOptions {
  readonly group: string;
  readonly json?: boolean;
}

export type RunGroupOptions = GroupOptions & { readonly every?: string };
export type VerifyGroupOptions = GroupOptions & { readonly deep?: boolean };
export type RestartGroupOptions = GroupOptions & { readonly out: string; readonly start: boolean };
export type RestoreGroupOptions = GroupOptions & {
  readonly out: string;
  readonly as: string;
  readonly egress: ReadonlyMap<string, string>;
  readonly start: boolean;
};
