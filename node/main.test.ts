/** The process around the commands: when it ends, and what a signal does to it. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { type Answer, type FakeAgent, startFakeAgent } from './cli/testing/fake-agent.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

let agent: FakeAgent | undefined;
afterEach(() => agent?.close());

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly err: string;
}

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, CONSUL_HTTP_ADDR: agent?.address },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = once(child, 'close').then(([code, signal]): Ended => ({ code, signal, err }));
  return { child, ended };
}

test('a signal ends a command that waits for an answer', async () => {
  const asked = Promise.withResolvers<void>();
  agent = await startFakeAgent({
    'GET /v1/kv/*': () => {
      asked.resolve();
      return new Promise(() => undefined);
    },
  });
  const { child, ended } = start(['kv', 'get', 'a']);
  await asked.promise;
  child.kill('SIGINT');
  expect(await ended).toEqual({ code: null, signal: 'SIGINT', err: '' });
});

test('SIGUSR1 opens no debugger', async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Answer>();
  agent = await startFakeAgent({
    'GET /v1/kv/*': () => {
      asked.resolve();
      return answer.promise;
    },
  });
  const { child, ended } = start(['kv', 'get', 'a']);
  await asked.promise;
  child.kill('SIGUSR1');
  answer.resolve({ status: 404 });
  expect(await ended).toEqual({ code: 1, signal: null, err: 'Error! No key exists at: a\n' });
});

test('a command that has failed ends though its answer still comes', async () => {
  agent = await startFakeAgent({ 'GET /v1/snapshot': { body: 'begin', staysOpen: true } });
  const { ended } = start(['snapshot', 'save', '/nonexistent/folder/x']);
  expect(await ended).toEqual({
    code: 1,
    signal: null,
    err: 'Error writing unverified snapshot file: open /nonexistent/folder/x.unverified: no such file or directory\n',
  });
});
