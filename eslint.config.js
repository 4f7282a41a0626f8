// Rules that need types or that Biome does not have; everything else is Biome's.
import tseslint from 'typescript-eslint';

/** A class that is longer does not fit into a head. */
const maxClassLines = {
  meta: { type: 'suggestion', schema: [{ type: 'integer' }] },
  create(context) {
    const [max] = context.options;
    const check = (node) => {
      const lines = node.loc.end.line - node.loc.start.line + 1;
      if (lines > max) context.report({ node, message: `class of ${lines} lines, above ${max}` });
    };
    return { ClassDeclaration: check, ClassExpression: check };
  },
};

export default tseslint.config(
  { ignores: ['dist/**', 'build/**', 'node_modules/**'] },
  {
    files: ['src/**/*.ts', 'sim/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false } },
      ],
      '@typescript-eslint/await-thenable': 'error',
      // A `default` says on purpose that the rest is of no interest.
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/only-throw-error': 'error',
    },
  },
  {
    // What decides is a pure state machine: no clock, randomness, process or timer may enter it.
    files: ['src/core/**/*.ts', 'src/controller/decisions/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...[
          'process',
          'performance',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'queueMicrotask',
          'fetch',
          'crypto',
          'Date',
          'console',
        ].map((name) => ({ name, message: 'what decides is pure: pass it in as an event.' })),
      ],
      'no-restricted-properties': [
        'error',
        {
          object: 'Math',
          property: 'random',
          message: 'what decides is pure: pass it in as an event.',
        },
      ],
    },
  },
  {
    // A run is a function of its seed; only what counts wall time may look at a clock.
    files: ['sim/**/*.ts'],
    ignores: ['sim/run.ts', 'sim/campaign.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['performance', 'setTimeout', 'setInterval', 'setImmediate', 'Date', 'crypto'].map(
          (name) => ({ name, message: 'a simulation has its own time and chance.' }),
        ),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'use the seeded generator.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts', 'sim/**/*.ts'],
    plugins: { understudy: { rules: { 'max-class-lines': maxClassLines } } },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'understudy/max-class-lines': ['error', 300],
    },
  },
);
