/** Colours for a terminal, and none where there is no terminal. */
import { styleText } from 'node:util';

export type Colour = 'green' | 'red' | 'yellow' | 'bold' | 'dim';
export type Paint = (colour: Colour, text: string) => string;

export function painter(coloured: boolean): Paint {
  return (colour, text) => (coloured ? styleText(colour, text) : text);
}

/** Whether a stream is a terminal that wants colours (https://no-color.org). */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  return stream.isTTY === true && (environment.NO_COLOR ?? '') === '';
}
