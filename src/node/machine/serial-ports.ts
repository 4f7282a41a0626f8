/** The guest's serial ports, for whoever listens: its console, and those that its VM file names. */
import { UnderstudyError } from '../../base/errors.ts';
import { consolePort } from '../../hypervisor/config.ts';
import { SerialHub } from './serial-hub.ts';

export class SerialPorts {
  /** In the guest's order: ttyS0, which is the console, ttyS1 and so on. */
  readonly names: readonly string[];
  /** In the same order. */
  readonly hubs: readonly SerialHub[];

  constructor(ports: readonly string[]) {
    this.names = [consolePort, ...ports];
    this.hubs = this.names.map(() => new SerialHub());
  }

  named(name: string): SerialHub | undefined {
    return this.hubs[this.names.indexOf(name)];
  }
}

/** What is said of a port that a machine does not have. */
export function noPort(port: string, names: readonly string[]): UnderstudyError {
  return new UnderstudyError('config', `The machine has no serial port '${port.slice(0, 40)}'`, {
    hint: `its ports are ${names.join(', ')}; \`ports\` of the VM file makes more`,
  });
}
