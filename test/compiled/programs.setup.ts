// Worlds and nodes that a test opens start compiled programs, too.
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { compiled } from './program.ts';

vi.mock('../../src/host/own-program.ts', () => ({
  ownProgram: (from: string, file: string) => [
    compiled(fileURLToPath(new URL(`${file}.ts`, from))),
  ],
}));
