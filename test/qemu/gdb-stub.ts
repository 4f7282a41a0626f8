// A debugger's side of QEMU's GDB stub: one packet, one answer ("GDB Remote Serial Protocol").
import net from 'node:net';

export class GdbStub {
  readonly #socket: net.Socket;
  readonly #packets: string[] = [];
  #text = '';
  #take: (() => void) | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      for (let found = this.#next(); found !== undefined; found = this.#next()) {
        this.#packets.push(found);
        socket.write('+');
      }
      this.#take?.();
    });
  }

  static async connect(path: string): Promise<GdbStub> {
    const socket = net.connect(path);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new GdbStub(socket);
  }

  /** The answer's content; of `c` and `s` the reason of the next stop. */
  async ask(command: string): Promise<string> {
    const sum = Buffer.from(command).reduce((all, byte) => (all + byte) & 0xff, 0);
    this.#socket.write(`$${command}#${sum.toString(16).padStart(2, '0')}`);
    return this.#packet();
  }

  /** What QEMU's monitor prints. */
  async monitor(command: string): Promise<string> {
    let said = '';
    let packet = await this.ask(`qRcmd,${Buffer.from(command).toString('hex')}`);
    for (; packet.startsWith('O') && packet !== 'OK'; packet = await this.#packet())
      said += Buffer.from(packet.slice(1), 'hex').toString('latin1');
    if (packet !== 'OK') throw new Error(`'${command}' was answered by '${packet}'`);
    return said;
  }

  async icount(): Promise<number> {
    const said = await this.monitor('info replay');
    return Number(/instruction count = (\d+)/.exec(said)?.[1]);
  }

  /** In gdb's order: 16 general registers, then rip. */
  async registers(): Promise<bigint[]> {
    const bytes = Buffer.from(await this.ask('g'), 'hex');
    return Array.from({ length: 17 }, (_, index) => bytes.readBigUInt64LE(index * 8));
  }

  /** Where the guest's kernel takes an interrupt, by its table of gates. */
  async interruptEntry(vector: number): Promise<bigint> {
    const table = /IDT=\s+([0-9a-f]+)/.exec(await this.monitor('info registers'))?.[1];
    const address = BigInt(`0x${table}`) + BigInt(vector * 16);
    const gate = Buffer.from(await this.ask(`m${address.toString(16)},10`), 'hex');
    const low = BigInt(gate.readUInt16LE(0)) | (BigInt(gate.readUInt16LE(6)) << 16n);
    return low | (BigInt(gate.readUInt32LE(8)) << 32n);
  }

  close(): void {
    this.#socket.destroy();
  }

  #next(): string | undefined {
    const found = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#text);
    if (found === null) return undefined;
    this.#text = this.#text.slice(found.index + found[0].length);
    return found[1] ?? '';
  }

  async #packet(): Promise<string> {
    while (this.#packets.length === 0) {
      await new Promise<void>((resolve) => {
        this.#take = resolve;
      });
    }
    return this.#packets.shift() ?? '';
  }
}
