/** Words for people. */

/** In one line: what is told in a list, a log or a status. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, '; ');
}
