/**
 * The arbiter of a node: opened, believed only while it is the one that the node remembers
 * (src/node/identified-arbiter.ts), and held against what the peer says of its own.
 */
import { randomBytes } from 'node:crypto';
import { type OpenedArbiter, openArbiter } from '../arbiter/open.ts';
import { nameOfArbiter, textOfArbiter } from '../arbiter/spec.ts';
import { reasonOf } from '../base/errors.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import type { Link } from '../ports/link.ts';
import { HelloRefused } from '../wire/hello.ts';
import { ArbiterFile } from './arbiter-memory.ts';
import { IdentifiedArbiter } from './identified-arbiter.ts';
import type { Logger } from './logger.ts';
import type { PairConfig } from './pair-file/pair-config.ts';

export interface OwnArbiterOptions {
  readonly config: PairConfig;
  /** It took part in the pair before, or the operator says so. */
  readonly hasSpoken: boolean;
  readonly log: Logger;
}

interface OwnArbiterParts {
  readonly opened: OpenedArbiter;
  readonly memory: ArbiterFile;
}

export class OwnArbiter {
  /** One life of this node. */
  readonly holder: string;
  readonly identified: IdentifiedArbiter;
  readonly #opened: OpenedArbiter;
  readonly #memory: ArbiterFile;
  readonly #log: Logger;

  private constructor(
    { config, hasSpoken, log }: OwnArbiterOptions,
    { opened, memory }: OwnArbiterParts,
  ) {
    this.#opened = opened;
    this.#memory = memory;
    this.#log = log;
    this.holder = `${config.self.name}:${randomBytes(6).toString('hex')}`;
    this.identified = new IdentifiedArbiter({
      ...{ inner: opened, name: nameOfArbiter(config.arbiter), pairFile: config.file },
      ...{ memory, holder: this.holder, hasSpoken },
    });
  }

  /** Rejects with `UnderstudyError` ('arbiter', 'config', 'rights'). */
  static async open(options: OwnArbiterOptions): Promise<OwnArbiter> {
    const { pair, self, arbiter: spec, arbiterAuth } = options.config;
    const memory = ArbiterFile.load(`${self.stateDir}/${pair}-${self.name}.arbiter.json`);
    const opened = await openArbiter(spec, { pair, auth: arbiterAuth });
    options.log.info({ arbiter: textOfArbiter(spec), known: memory.known }, 'the arbiter');
    return new OwnArbiter(options, { opened, memory });
  }

  /** What a hello says of it: nothing before it was seen. */
  get said(): { readonly arbiter?: string } {
    const { identity } = this.identified;
    return identity === undefined ? {} : { arbiter: identity };
  }

  /** The newest term that this node has seen, in any life. */
  get seen(): Term {
    return this.#memory.known?.seen ?? toTerm(0);
  }

  /** Dials the peer, at its own address, and hears what it says of its arbiter. */
  async hearing(dial: () => Promise<Link>): Promise<Link> {
    try {
      const link = await dial();
      this.met(link);
      return link;
    } catch (thrown) {
      // Only by who answers at the peer's own address: anybody may dial this node.
      const isOther = thrown instanceof HelloRefused && thrown.refused === 'arbiter';
      if (isOther) this.identified.differs(thrown.message);
      throw thrown;
    }
  }

  /** There is a link, whoever dialled. */
  met({ peer }: Link): void {
    this.identified.met(peer).catch((error: unknown) => {
      this.#log.warn({ error: reasonOf(error) }, 'not remembered; trying again');
    });
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}
