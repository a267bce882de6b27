/** Debian's python3-consul, unchanged, against the gateway: a script of asserted steps, each of which prints its name. */

import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SmallPool, startSmallPool } from './small-pool.ts';
import { findPythonConsul } from './tools.ts';

const SCRIPT = new URL('python/consul_steps.py', import.meta.url).pathname;
const STEPS = [
  'status and cluster',
  'service with a TTL check',
  'checks',
  'maintenance',
  'blocking query on health',
  'keys and values',
  'blocking query on a key',
  'sessions and locks',
  'catalog by hand',
  'events',
  'prepared queries',
  'refusals',
  'deregister',
];

const python = findPythonConsul();

describe.skipIf(python === undefined)('python3-consul', () => {
  let pool: SmallPool;
  beforeAll(async () => {
    pool = await startSmallPool();
  });
  afterAll(() => pool?.stop());

  test('takes every step', async () => {
    const { steps, errors } = await run(python ?? '', [SCRIPT, '127.0.0.1', String(pool.gatewayPort)]);
    expect({ steps, errors }).toEqual({ steps: STEPS, errors: '' });
  }, 90_000);
});

function run(program: string, args: string[]): Promise<{ steps: string[]; errors: string }> {
  // The client reads these variables before its arguments.
  const kept = Object.entries(process.env).filter(([name]) => !/^CONSUL_|_proxy$/i.test(name));
  const options = { env: Object.fromEntries(kept), timeout: 80_000 };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const errors = error === null ? '' : `${error.message}\n${stderr}`;
      resolve({ steps: stdout.split('\n').filter(Boolean), errors });
    });
  });
}
