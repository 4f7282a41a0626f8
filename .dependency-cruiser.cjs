// The layer table of docs/architecture.md, enforced. Imports go down only.
const layers = {
  // layer: what it may import (besides itself and packages allowed below)
  base: [],
  ports: ['base', 'rrlog'],
  rrlog: ['base'],
  core: ['base', 'ports', 'rrlog'],
  wire: ['base', 'ports'],
  arbiter: ['base', 'ports'],
  egress: ['base', 'ports'],
  hypervisor: ['base', 'ports', 'rrlog'],
  store: ['base', 'ports', 'rrlog'],
  node: ['base', 'ports', 'rrlog', 'core', 'wire', 'arbiter', 'egress', 'hypervisor', 'store'],
};
const faces = ['cli', 'web', 'observe', 'demo'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    ...Object.entries(layers).map(([layer, below]) => ({
      name: `layer-${layer}`,
      comment: `src/${layer} may import only: ${[layer, ...below].join(', ')}`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: '^src/', pathNot: `^src/(${[layer, ...below].join('|')})/` },
    })),
    {
      name: 'faces-are-not-imported',
      comment: 'nothing below the faces imports a face',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${faces.join('|')})/` },
      to: { path: `^src/(${faces.join('|')})/` },
    },
    {
      name: 'core-is-pure',
      comment: 'src/core and src/base import no package and no Node module',
      severity: 'error',
      from: { path: '^src/(core|base|ports)/' },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev'] },
    },
    {
      name: 'rxjs-observes-only',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${faces.join('|')}|node)/` },
      to: { path: 'node_modules/rxjs' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
