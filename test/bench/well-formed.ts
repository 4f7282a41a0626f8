/** A checker of markup, as strict as XML: each tag closed, each attribute quoted, nothing bare. */

export interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const tagPattern =
  /<(\/?)([A-Za-z][A-Za-z0-9]*)((?:\s+[A-Za-z][A-Za-z0-9:-]*="[^"<>]*")*)\s*(\/?)>/y;
const attributePattern = /([A-Za-z][A-Za-z0-9:-]*)="([^"]*)"/g;
const entity = /&(?!(?:amp|lt|gt|quot|#39);)/;

/** All tags of a document in their order. Throws at the first place that is not well formed. */
export function tagsOf(html: string): readonly Tag[] {
  const prologue = '<!doctype html>';
  if (!html.startsWith(prologue)) throw new Error('there is no doctype');
  const open: string[] = [];
  const tags: Tag[] = [];
  let at = prologue.length;
  for (;;) {
    const next = html.indexOf('<', at);
    const text = html.slice(at, next < 0 ? undefined : next);
    // A style sheet is not text: `>` is one of its signs.
    if (open.at(-1) !== 'style' && (text.includes('>') || entity.test(text))) {
      throw new Error(`bare sign in '${text.slice(0, 80)}'`);
    }
    if (next < 0) break;
    tagPattern.lastIndex = next;
    const found = tagPattern.exec(html);
    if (found === null) throw new Error(`no tag at '${html.slice(next, next + 80)}'`);
    const [whole, closing, name = '', attributes = '', single] = found;
    at = next + whole.length;
    if (closing === '/') {
      const expected = open.pop();
      if (expected !== name) throw new Error(`</${name}> closes <${expected}>`);
      continue;
    }
    if (entity.test(attributes)) throw new Error(`bare & in '${attributes}'`);
    const pairs = [...attributes.matchAll(attributePattern)].map(
      ([, key = '', value = '']) => [key, value] as const,
    );
    if (new Set(pairs.map(([key]) => key)).size < pairs.length) {
      throw new Error(`an attribute is there twice in <${name}${attributes}>`);
    }
    tags.push({ name, attributes: Object.fromEntries(pairs) });
    if (single !== '/') open.push(name);
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join(', ')}`);
  return tags;
}
