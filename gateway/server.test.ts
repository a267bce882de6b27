import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakePool } from './testing/fake-pool.ts';

const entry = join(import.meta.dirname, 'server.ts');

function run(args: readonly string[]) {
  const { GATEWAY_NODES: _, ...env } = process.env;
  const child = spawn(process.execPath, [entry, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return { child, output, closed: once(child, 'close') };
}

test('says where it listens, serves, and ends with 0 on a signal', async () => {
  const pool = await FakePool.start(['s1']);
  const { child, output, closed } = run([`-nodes=${pool.node('s1').url}`, '-listen=127.0.0.1:0']);
  while (!output.stdout.includes('gateway is listening')) await once(child.stdout, 'data');
  const url = /url=(\S+?)[\s:]*(?:nodes|\n)/.exec(output.stdout)?.[1] ?? '';
  expect((await fetch(`${url}/v1/catalog/nodes`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
  expect(output.stderr).toBe('');
  await pool.stop();
});

test('a missing setting is said on stderr, with what to do', async () => {
  const { output, closed } = run([]);
  expect(await closed).toEqual([2, null]);
  expect(output.stderr).toContain('-nodes=http://127.0.0.1:8501');
});

test('a certificate that can not be read is said on stderr', async () => {
  const { output, closed } = run(['-nodes=127.0.0.1:1', '-tls-cert=/none.pem', '-tls-key=/none.pem']);
  expect(await closed).toEqual([2, null]);
  expect(output.stderr).toContain('-tls-cert or GATEWAY_TLS_CERT names a file that can');
});

test('-help lists the settings', async () => {
  const { output, closed } = run(['-help']);
  expect(await closed).toEqual([0, null]);
  expect(output.stdout).toContain('-retry-deadline, GATEWAY_RETRY_DEADLINE');
});

test('an address that is taken ends the program with 1', async () => {
  const pool = await FakePool.start(['s1']);
  const { host } = new URL(pool.node('s1').url);
  const { output, closed } = run([`-nodes=http://${host}`, `-listen=${host}`]);
  expect(await closed).toEqual([1, null]);
  expect(output.stderr).toContain('EADDRINUSE');
  await pool.stop();
});
