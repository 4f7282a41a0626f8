// The layer table of docs/architecture.md, enforced. Imports go down only.
const layers = {
  // layer: what it may import (besides itself and packages allowed below)
  base: [],
  host: ['base'],
  ports: ['base', 'rrlog'],
  rrlog: ['base'],
  core: ['base', 'ports', 'rrlog'],
  wire: ['base', 'ports'],
  arbiter: ['base', 'host', 'ports'],
  egress: ['base', 'host', 'ports'],
  hypervisor: ['base', 'host', 'ports', 'rrlog'],
  store: ['base', 'host', 'ports', 'rrlog'],
  container: ['base', 'host'],
  restore: ['base', 'host', 'ports', 'rrlog', 'hypervisor', 'store'],
  node: [
    ...['base', 'host', 'ports', 'rrlog', 'core', 'wire', 'arbiter', 'egress', 'hypervisor'],
    ...['store', 'restore'],
  ],
};
// Faces may import all layers, and of each other only what stands below them here: the command line
// starts the demo, and the demo watches nodes as any observer does, but never the other way round.
const faces = ['text', 'observe', 'group', 'controller', 'lab', 'demo', 'bench', 'cli'];

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
    ...faces.slice(0, -1).map((face, index) => ({
      name: `face-${face}`,
      comment: `of the faces, src/${face} may import only: ${faces.slice(0, index + 1).join(', ')}`,
      severity: 'error',
      from: { path: `^src/${face}/` },
      to: { path: `^src/(${faces.slice(index + 1).join('|')})/` },
    })),
    {
      name: 'every-folder-has-a-layer',
      comment: 'a new folder in src must be entered in the table above',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: `^src/(${[...Object.keys(layers), ...faces].join('|')})/` },
    },
    {
      name: 'sim-runs-the-core',
      comment: 'sim stands in for everything else: it may import only core, base, ports and rrlog',
      severity: 'error',
      from: { path: '^sim/' },
      to: { path: '^src/', pathNot: '^src/(core|base|ports|rrlog)/' },
    },
    {
      name: 'sim-is-not-imported',
      comment: 'nothing that runs in earnest knows the simulator',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^sim/' },
    },
    {
      name: 'faces-are-not-imported',
      comment: 'nothing below the faces imports a face',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${faces.join('|')})/` },
      to: { path: `^src/(${faces.join('|')})/` },
    },
    {
      name: 'a-verb-loads-when-asked-for',
      comment:
        'src/cli says what verbs are called with; what one does is imported by its action only',
      severity: 'error',
      from: { path: '^src/cli/[^/]+$' },
      to: {
        path: '^src/|node_modules/',
        pathNot: '^src/(cli/[^/]+$|base/)|node_modules/commander/',
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'core-is-pure',
      comment: 'what decides, and src/base, import no package and no Node module',
      severity: 'error',
      from: { path: '^src/(core|base|ports|controller/decisions)/' },
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
