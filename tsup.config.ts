import { defineConfig } from 'tsup';

const shared = {
  format: 'esm',
  target: 'node26',
  sourcemap: true,
  splitting: false,
  dts: false,
  clean: false,
} as const;

export default defineConfig([
  { ...shared, entry: { main: 'node/main.ts' }, outDir: 'dist/node', platform: 'node' },
  {
    ...shared,
    entry: { server: 'gateway/server.ts' },
    outDir: 'dist/gateway',
    platform: 'node',
    banner: { js: '#!/usr/bin/env node' },
  },
  {
    ...shared,
    entry: { worker: 'gateway/worker.ts' },
    outDir: 'dist/gateway',
    platform: 'browser',
    target: 'es2022',
    noExternal: [/.*/],
  },
  {
    ...shared,
    // The client for programs; its declarations come from tsconfig.client.json.
    entry: { index: 'shared/client/client.ts' },
    outDir: 'dist/client',
    platform: 'neutral',
    target: 'es2022',
  },
  {
    ...shared,
    // The web UI: a script and a style sheet, and beside them what needs no building.
    entry: ['gateway/ui/app.ts', 'gateway/ui/app.css'],
    outDir: 'dist/ui',
    publicDir: 'gateway/ui/static',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    sourcemap: false,
  },
]);
