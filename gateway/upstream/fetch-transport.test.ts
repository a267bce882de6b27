import { expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { isWhole, NO_BODY } from '../exchange/exchange.ts';
import { createFetchTransport } from './fetch-transport.ts';
import type { UpstreamRequest } from './transport.ts';

const request = (changes: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  method: 'GET',
  target: '/v1/kv/a%2Fb?x',
  headers: ['X-Consul-Token', 't'],
  body: NO_BODY,
  delivery: 'whole',
  isWait: false,
  timeoutMs: 0,
  ...changes,
});

function open(answer: (url: string, init: RequestInit) => Promise<Response>, answerLimitBytes = 100) {
  const { clock } = simulatedEnv(1);
  const transport = createFetchTransport({
    answerLimitBytes,
    clock,
    fetch: (input, init) => answer(String(input), init ?? {}),
  });
  return { clock, transport };
}

test('sends the target as it is and collects the answer', async () => {
  const seen: unknown[] = [];
  const { transport } = open(async (url, init) => {
    seen.push(url, new Headers(init.headers).get('x-consul-token'), init.redirect);
    return new Response('hello', { status: 404 });
  });
  const answer = await transport.send('http://a', request());
  expect(seen).toEqual(['http://a/v1/kv/a%2Fb?x', 't', 'manual']);
  expect([answer.status, isWhole(answer) && new TextDecoder().decode(answer.body)]).toEqual([404, 'hello']);
});

test('a long answer becomes a stream that loses nothing', async () => {
  const { transport } = open(async () => new Response('x'.repeat(1000)));
  const answer = await transport.send('http://a', request());
  expect(isWhole(answer)).toBe(false);
  expect((await new Response(answer.body as BodyInit).text()).length).toBe(1000);
});

test('bodies are sent whole or as a stream', async () => {
  const bodies: string[] = [];
  const { transport } = open(async (_url, init) => {
    bodies.push(await new Response(init.body ?? null).text());
    return new Response();
  });
  const bytes = new TextEncoder().encode('abc');
  async function* chunks() {
    yield bytes;
    yield bytes;
  }
  await transport.send(
    'http://a',
    request({ method: 'PUT', body: { kind: 'bytes', bytes, isChunked: false } }),
  );
  await transport.send(
    'http://a',
    request({ method: 'PUT', body: { kind: 'stream', chunks: chunks(), length: 6 } }),
  );
  expect(bodies).toEqual(['abc', 'abcabc']);
});

test('failures tell what may have happened', async () => {
  const failing = (error: Error) => open(() => Promise.reject(error)).transport.send('http://a', request());
  const refused = new TypeError('fetch failed', {
    cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
  });
  await expect(failing(refused)).rejects.toMatchObject({ kind: 'not-sent' });
  await expect(failing(new Error('Network connection lost.'))).rejects.toMatchObject({ kind: 'broken' });
});

test('no answer in time is a timeout, and nothing hangs', async () => {
  const { clock, transport } = open(
    (_url, init) =>
      new Promise((_, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason))),
  );
  const sent = transport.send('http://a', request({ timeoutMs: 500 }));
  sent.catch(() => undefined);
  await clock.advanceAsync(500);
  await expect(sent).rejects.toMatchObject({ kind: 'timeout' });
});
