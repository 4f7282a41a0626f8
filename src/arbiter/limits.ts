/** Every size and wait of the arbiters that has a limit, with its reason. Units come last. */
export const arbiterLimits = {
  /** A name and what tells one life of a node from the next. */
  holderChars: 200,
  /** From writing a temporary file to its link are milliseconds; a minute forgives a stuck disk. */
  temporaryFileMs: 60_000,
} as const;
