import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { noClusterLeader, notFound } from '../../../shared/errors.ts';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

beforeEach(() => {
  server.backend.answers.clear();
  server.backend.calls.length = 0;
  server.backend.meta = { index: 7, knownLeader: true, lastContactMs: 0 };
});

afterAll(() => server.server.close());

const get = (path: string, headers = {}) => send(server, 'GET', path, { headers });
const put = (path: string, body?: unknown) =>
  send(server, 'PUT', path, body === undefined ? {} : { body: JSON.stringify(body) });
const called = () => server.backend.calls.map(({ endpoint }) => endpoint);

describe('prepared queries', () => {
  const FOUND = {
    service: { Service: 'web', Failover: { NearestN: 0, Datacenters: null } },
    dns: { TTL: '5s' },
    nodes: [
      {
        Node: { Node: 'a' },
        Service: { ID: 'x', Tags: [] },
        Checks: [
          { CheckID: 'n', ServiceTags: [] },
          { CheckID: 's', ServiceTags: ['t'] },
        ],
      },
    ],
    ranks: null,
    near: '',
    wantsSource: false,
  };

  test('are created, replaced and deleted', async () => {
    server.backend.answer('PreparedQuery.Apply', () => 'the-id');
    const body = JSON.stringify({ name: 'q', Service: { Service: 'web', Tags: ['!x'] }, dns: { TTL: '1s' } });
    expect(await send(server, 'POST', '/v1/query?dc=dc2', { body })).toMatchObject({
      text: '{"ID":"the-id"}',
    });
    expect(server.backend.lastCall()).toMatchObject({
      args: {
        op: 'create',
        query: {
          ID: '',
          Name: 'q',
          Service: { Service: 'web', Tags: ['!x'], NodeMeta: null },
          DNS: { TTL: '1s' },
        },
      },
      options: { datacenter: 'dc2' },
    });
    expect(await put('/v1/query/abc', { ID: 'other', Name: 'r' })).toMatchObject({ status: 200, text: '' });
    expect(server.backend.lastCall().args).toMatchObject({ op: 'update', query: { ID: 'abc', Name: 'r' } });
    expect(await put('/v1/query/abc')).toMatchObject({ status: 200 });
    expect(server.backend.lastCall().args).toMatchObject({ op: 'update', query: { ID: 'abc', Name: '' } });
    expect(await send(server, 'DELETE', '/v1/query/abc')).toMatchObject({ status: 200, text: '' });
    expect(server.backend.lastCall().args).toEqual({ op: 'delete', id: 'abc' });
  });

  test('an execution passes on who asks, and what for', async () => {
    server.backend.answer('PreparedQuery.Execute', ({ sourceAddress }: { sourceAddress: string }) => ({
      ...FOUND,
      wantsSource: sourceAddress === '',
    }));
    const reply = await get('/v1/query/web/x/execute?stale&near=_agent&connect=true&limit=3', {
      'X-Forwarded-For': ' 192.0.2.7, 10.0.0.1',
    });
    expect(reply.text).toBe(
      '{"Service":"web","Nodes":[{"Node":{"Node":"a"},"Service":{"ID":"x","Tags":null},' +
        '"Checks":[{"CheckID":"n","ServiceTags":null},{"CheckID":"s","ServiceTags":["t"]}]}],"DNS":{"TTL":"5s"},"Datacenter":"dc1","Failovers":0,' +
        '"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":"stale"}',
    );
    expect(reply.headers).toMatchObject({
      'x-consul-index': '1',
      'x-consul-effective-consistency': 'stale',
    });
    expect(server.backend.calls).toHaveLength(2);
    expect(server.backend.lastCall()).toMatchObject({
      args: { query: 'web/x', connect: true, near: 'n1', agentNode: 'n1', sourceAddress: '192.0.2.7' },
      options: { consistency: 'stale', datacenter: '' },
    });
  });

  test('who asks is the peer when no proxy says otherwise', async () => {
    server.backend.answer('PreparedQuery.Execute', () => ({ ...FOUND, wantsSource: true }));
    await get('/v1/query/q/execute', { 'X-Forwarded-For': 'unknown' });
    expect(server.backend.lastCall().args).toMatchObject({ sourceAddress: '127.0.0.1' });
  });

  test('an execution may come from the agent cache', async () => {
    server.backend.answer('PreparedQuery.Execute', () => FOUND);
    expect((await get('/v1/query/cached/execute?cached')).headers).toMatchObject({ 'x-cache': 'MISS' });
    expect((await get('/v1/query/cached/execute?cached')).headers).toMatchObject({
      'x-cache': 'HIT',
      age: '0',
    });
    expect((await get('/v1/query/cached/execute?cached&limit=1')).headers).toMatchObject({
      'x-cache': 'MISS',
    });
    expect(called()).toHaveLength(2);
  });

  test('an old answer stands in for a failure when the caller allows it', async () => {
    const headers = (text: string) => ({ 'Cache-Control': text });
    server.backend.answer('PreparedQuery.Execute', () => FOUND);
    await get('/v1/query/kept/execute?cached');
    server.backend.answer('PreparedQuery.Execute', () => {
      throw noClusterLeader();
    });
    const path = '/v1/query/kept/execute?cached';
    const kept = await get(path, headers('must-revalidate, stale-if-error=60'));
    expect(kept).toMatchObject({ status: 200, headers: { 'x-cache': 'HIT' } });
    expect(await get(path, headers('max-age=0'))).toMatchObject({ status: 500, text: 'No cluster leader' });
  });

  test('a query may be called as what is done with it', async () => {
    server.backend.answer('PreparedQuery.Execute', () => FOUND);
    await get('/v1/query/execute');
    expect(server.backend.lastCall().args).toMatchObject({ query: 'execute' });
  });

  test('an explanation shows the query that stands behind a name', async () => {
    server.backend.answer('PreparedQuery.Explain', () => ({ ID: 'x' }));
    expect(await get('/v1/query/q/explain')).toMatchObject({
      status: 200,
      text: '{"Query":{"ID":"x"},"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":"leader"}',
    });
  });

  test('what is unknown is a plain 404, other failures tell that the call failed', async () => {
    const miss = () => {
      throw notFound('Query not found');
    };
    const failure = () => {
      throw noClusterLeader();
    };
    for (const [endpoint, path] of [
      ['PreparedQuery.Get', '/v1/query/x'],
      ['PreparedQuery.Execute', '/v1/query/x/execute'],
      ['PreparedQuery.Explain', '/v1/query/x/explain'],
    ] as const) {
      server.backend.answer(endpoint, miss);
      const missed = await get(path);
      expect(missed).toMatchObject({ status: 404, text: 'Query not found' });
      expect(missed.headers).not.toHaveProperty('x-consul-index');
      server.backend.answer(endpoint, failure);
      const failed = await get(path);
      expect(failed).toMatchObject({ status: 500, headers: { 'x-consul-knownleader': 'false' } });
    }
  });

  test.each([
    ['GET', '/v1/query/x/execute?limit=z', 500, 'Bad limit: strconv.Atoi: parsing "z": invalid syntax'],
    [
      'GET',
      '/v1/query/x/execute?connect=z',
      500,
      `Error parsing 'connect' value: strconv.ParseBool: parsing "z": invalid syntax`,
    ],
    ['POST', '/v1/query', 400, 'Request decode failed: EOF'],
    [
      'GET',
      '/v1/query/x/execute?stale&consistent',
      400,
      'Cannot specify ?stale with ?consistent, conflicting semantics.',
    ],
  ])('%s %s is refused', async (method, path, status, text) => {
    expect(await send(server, method, path)).toMatchObject({ status, text });
    expect(called()).toEqual([]);
  });

  test.each([
    ['OPTIONS', '/v1/query/x', 200, 'OPTIONS,GET,PUT,DELETE', '{}'],
    ['OPTIONS', '/v1/query/x/execute', 200, 'OPTIONS,GET', '{}'],
    ['POST', '/v1/query/x', 405, 'GET,PUT,DELETE', 'method POST not allowed'],
    ['PUT', '/v1/query/x/explain', 405, 'GET', 'method PUT not allowed'],
    ['PUT', '/v1/query', 405, 'OPTIONS,GET,POST', 'method PUT not allowed'],
  ])('%s %s is answered %i with %s', async (method, path, status, allow, text) => {
    expect(await send(server, method, path)).toMatchObject({ status, headers: { allow }, text });
  });
});
