/** Prints the fleet on paper. */
import { figures } from './figures.ts';
import { runFleet } from './fleet.ts';

const fleet = { pairs: 5_000, years: 5, seed: 1 };

export function printFleet(json: boolean, print: (line: string) => void): void {
  const near = runFleet({ ...fleet, roundTripMs: 0 });
  const far = runFleet({ ...fleet, roundTripMs: figures.wanRoundTripMs.value });
  const farPair = far.at(-1);
  if (json) {
    print(JSON.stringify({ ...fleet, lines: near, acrossSites: farPair, figures }));
    return;
  }
  print(`${fleet.pairs} machines over ${fleet.years} years\n`);
  print(
    'kind                     available      down/year  restarts/year  unprotected/year  delay  lost',
  );
  for (const { kind, ...line } of near) {
    print(
      [
        kind.padEnd(23),
        `${(line.availability * 100).toFixed(5)} %`.padStart(11),
        `${line.downMinutesAYear.toFixed(3)} min`.padStart(13),
        line.restartsAYear.toFixed(4).padStart(14),
        `${line.unprotectedMinutesAYear.toFixed(0)} min`.padStart(17),
        `${line.outputDelayMs} ms`.padStart(6),
        (line.lostOutputs ?? 'n/a').toString().padStart(5),
      ].join(' '),
    );
  }
  print(
    `\nacross sites (${figures.wanRoundTripMs.value} ms): output delay ${farPair?.outputDelayMs} ms\n`,
  );
  for (const [name, { value, source }] of Object.entries(figures)) {
    print(`  ${name} = ${value}: ${source}`);
  }
}
