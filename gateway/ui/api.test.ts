import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { ApiError, createApi, explain, parseJson, queryText } from './api.ts';

let server: Server;
let base: string;
const tokens: (string | string[] | undefined)[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    tokens.push(request.headers['x-consul-token']);
    const [, kind = ''] = (request.url ?? '').split('/');
    if (kind === 'silent') return;
    if (kind === 'moved') response.setHeader('Location', '/ok');
    response.setHeader('X-Consul-Index', '7');
    response.statusCode = { moved: 301, denied: 403, missing: 404 }[kind] ?? 200;
    response.end(kind === 'denied' ? 'Permission denied\n' : '{"a":1}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test('requests carry the token in use; answers their index', async () => {
  let token = '';
  const call = createApi(() => token, simulatedEnv(1).clock);
  expect(await call({ path: `${base}/ok` })).toEqual({
    isFound: true,
    text: '{"a":1}',
    index: 7,
    isLeaderKnown: true,
  });
  token = 'secret';
  await call({ path: `${base}/ok` });
  expect(tokens.slice(-2)).toEqual([undefined, 'secret']);
});

test('404 is an answer, 403 an error with the server’s words, a redirect neither', async () => {
  const call = createApi(() => '', simulatedEnv(1).clock);
  expect(await call({ path: `${base}/missing` })).toMatchObject({ isFound: false, index: 7 });
  await expect(call({ path: `${base}/denied` })).rejects.toMatchObject({
    status: 403,
    message: 'Permission denied',
  });
  await expect(call({ path: `${base}/moved` })).rejects.toMatchObject({ name: 'ApiError', status: 0 });
});

test('a server that never answers is given up', async () => {
  const { clock } = simulatedEnv(1);
  const answer = createApi(() => '', clock)({ path: `${base}/silent` });
  clock.advance(120_000);
  await expect(answer).rejects.toMatchObject({ name: 'ApiError', status: 0 });
});

test('a request that is no longer wanted ends as such', async () => {
  const controller = new AbortController();
  const answer = createApi(
    () => '',
    simulatedEnv(1).clock,
  )({ path: `${base}/silent`, signal: controller.signal });
  controller.abort();
  await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
});

test('parameters', () => {
  expect(queryText({ dc: 'd c', keys: true, cas: 0, none: undefined })).toBe('?dc=d%20c&keys&cas=0');
  expect(queryText({})).toBe('');
});

test('what is not JSON is an error, not a broken page', () => {
  const answer = { isFound: true, text: '<html>', index: undefined, isLeaderKnown: true };
  expect(() => parseJson(answer)).toThrow(ApiError);
  expect(parseJson({ ...answer, isFound: false })).toBeUndefined();
});

describe('errors in words', () => {
  test.each([
    [0, 'fetch failed', 'No answer', false],
    [403, 'Permission denied', 'Permission denied', true],
    [403, 'ACL not found', 'The token is not known', true],
    [500, 'No cluster leader', 'No cluster leader', false],
    [429, '', 'The agent is busy', false],
    [413, 'too large', 'Too large', false],
    [500, 'boom', 'The agent answered with an error (500)', false],
  ])('%i %s', (status, message, title, isAboutToken) => {
    expect(explain(new ApiError(status, message))).toMatchObject({ title, isAboutToken });
  });
});
