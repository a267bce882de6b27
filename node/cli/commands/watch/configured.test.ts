import { expect, test } from 'vitest';
import { realEnv } from '../../../../shared/env.ts';
import { silentLogger } from '../../../../shared/log.ts';
import { buildConfig, type HostFacts } from '../../../config/build.ts';
import type { Tree } from '../../../config/decode.ts';
import type { CliIo } from '../../command.ts';
import { startWatches } from './configured.ts';

const io: CliIo = {
  out: () => undefined,
  err: () => undefined,
  readStdin: async () => new Uint8Array(),
  env: {},
  clock: realEnv.clock,
  interrupted: new AbortController().signal,
};

function problem(watch: Tree, ports: Tree = {}): string {
  const tree: Tree = { data_dir: '/d', bind_addr: '127.0.0.1', watches: [watch], ports };
  const host = { hostname: 'h', interfaces: {} } as HostFacts;
  const config = buildConfig({ tree, isDev: false, sources: [], warnings: [] }, host);
  try {
    startWatches(config, io, silentLogger).stop();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Failed to parse watch \(.*?\}\): /, '') : '';
  }
}

test.each([
  [{ type: 'key', key: 'a' }, 'Must define a watch handler'],
  [{ type: 'key', key: 'a', handler: 'x', args: ['y'] }, 'Only one watch handler allowed'],
  [{ key: 'a', args: ['y'] }, 'Watch type must be defined'],
  [{ type: 'key', args: ['y'] }, 'Must specify a single key to watch'],
  [{ type: 'connect_roots', args: ['y'] }, 'Watch type connect_roots is not allowed in agent config'],
  [{ type: 'nodes', handler_type: 'http' }, "Requires 'path' to be set"],
  [{ type: 'nodes', handler_type: 'grpc', args: ['y'] }, 'Unsupported handler type: grpc'],
])('%j is refused', (watch, text) => {
  expect(problem(watch)).toBe(text);
});

test('watches need the HTTP API', () => {
  expect(problem({ type: 'nodes', args: ['true'] }, { http: -1 })).toBe(
    'watch plans require an HTTP or HTTPS endpoint',
  );
});
