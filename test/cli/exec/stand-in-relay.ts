// The guest's end of a command's streams, as scripts/guest/container/sbin/relay keeps its contract;
// what it sends lies on its way until somebody takes it, or it is lost.

export class StandInRelay {
  /** All that the command has said, of each stream. */
  said: [string, string] = ['', ''];
  readonly onItsWay: [number[], number[]] = [[], []];
  readonly console: string[] = [];
  /** Signals that the command has got. */
  got: number[] = [];
  starts = 0;
  /** Lines to it are lost. */
  isDeaf = false;
  #next: [number, number] = [0, 0];
  #base: [number, number] = [0, 0];
  #sequence = 0;
  counted = 0;
  #end: string | undefined;

  comeUp(): void {
    this.#line('ready');
  }

  /** Says the next number; a state of before counts on from where it was. */
  count(): void {
    this.counted += 1;
    this.say(this.counted % 3 === 0 ? 1 : 0, `${this.counted} `);
  }

  say(index: 0 | 1, text: string): void {
    this.said[index] += text;
    this.#send(index);
  }

  end(code: number): void {
    this.#end = `end ${code} ${this.said.map(({ length }) => length).join(' ')}`;
    this.#line(this.#end);
  }

  hear(line: string): void {
    if (this.isDeaf) return;
    const [word, ...rest] = line.split(' ');
    const [first = 0, second = 0] = rest.map(Number);
    if (word === 'start') this.starts = 1;
    else if (word === 'kept') {
      for (const [index, to] of [first, second].entries() as Iterable<[0 | 1, number]>) {
        this.#base[index] = Math.max(this.#base[index], Math.min(to, this.#next[index]));
      }
      this.#line(line);
    } else if (word === 'signal' && first > this.#sequence) {
      this.#sequence = first;
      this.got.push(second);
    } else if (word === 'hello') {
      const from = rest.slice(1).map(Number);
      for (const index of [0, 1] as const) {
        const wanted = Math.max(from[index] ?? 0, this.#base[index]);
        this.#next[index] = Math.min(wanted, this.said[index].length);
        this.onItsWay[index].push(...Buffer.from(rest[0] ?? ''));
      }
      this.#line(`hello ${rest[0]} ${this.#sequence} ${this.#next.join(' ')}`);
      if (this.#end !== undefined) this.#line(this.#end);
      for (const index of [0, 1] as const) this.#send(index);
    }
  }

  /** So much of what is on its way never arrives. */
  lose(bytes: number): void {
    for (const bytesOf of [...this.onItsWay, this.console]) bytesOf.splice(-bytes, bytes);
  }

  /** Its state; nothing of it is on its way. */
  copy(): StandInRelay {
    const copy = new StandInRelay();
    copy.said = [...this.said];
    copy.got = [...this.got];
    copy.starts = this.starts;
    copy.#next = [...this.#next];
    copy.#base = [...this.#base];
    copy.#sequence = this.#sequence;
    copy.counted = this.counted;
    copy.#end = this.#end;
    return copy;
  }

  #send(index: 0 | 1): void {
    this.onItsWay[index].push(...Buffer.from(this.said[index].slice(this.#next[index])));
    this.#next[index] = this.said[index].length;
  }

  #line(text: string): void {
    this.console.push(...`\nunderstudy-exec: ${text}\n`);
  }
}
