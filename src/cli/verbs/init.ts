/** Sets a new pair up at its arbiter, and says which identity that has. */
import { setUpArbiterOf } from '../../node/set-up-arbiter.ts';

export interface InitOptions {
  readonly pair: string;
  readonly json?: boolean;
}

/** Done again, it changes nothing and says so. */
export async function init(options: InitOptions): Promise<void> {
  const { pair, arbiter, name, identity, isNew } = await setUpArbiterOf(options.pair);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ pair, arbiter, identity, isNew })}\n`);
    return;
  }
  const lines = isNew
    ? [`${name} is set up for pair '${pair}': its identity is ${identity}`]
    : [
        `${name} was set up for pair '${pair}' before: its identity is ${identity}`,
        'nothing is changed; if that was for another pair, give this one another name',
      ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
