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
]);
