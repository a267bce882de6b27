import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConsulError, noClusterLeader } from '../../../shared/errors.ts';
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
const called = () => server.backend.calls.map(({ endpoint }) => endpoint);

describe('the reads of the web UI', () => {
  test('show one node, or none', async () => {
    server.backend.answer('Internal.NodeInfo', ({ node }: { node: string }) =>
      node === 'a' ? [{ Node: 'a' }] : [],
    );
    expect(await get('/v1/internal/ui/node/a')).toMatchObject({ status: 200, text: '{"Node":"a"}' });
    const missed = await get('/v1/internal/ui/node/b');
    expect(missed).toMatchObject({ status: 404, text: '' });
    expect(missed.headers).not.toHaveProperty('x-consul-index');
    expect(await get('/v1/internal/ui/node/')).toMatchObject({ status: 400, text: 'Missing node name' });
    expect(await get('/v1/internal/ui/gateway-services-nodes/')).toMatchObject({
      text: 'Missing gateway name',
    });
  });

  test('are answered without a leader by whoever is there', async () => {
    server.backend.answer('Internal.NodeDump', (_, { consistency }) => {
      if (consistency !== 'stale') throw noClusterLeader();
      return [];
    });
    server.backend.answer('Internal.ServiceSummary', () => {
      throw new ConsulError('refused', 500, 'bad filter');
    });
    expect(await get('/v1/internal/ui/nodes?filter=x')).toMatchObject({ status: 200, text: '[]' });
    expect(called()).toEqual(['Internal.NodeDump', 'Internal.NodeDump']);
    expect(server.backend.lastCall().args).toEqual({ filter: 'x' });
    expect(await get('/v1/internal/ui/services')).toMatchObject({ status: 500, text: 'bad filter' });
    expect(called()).toHaveLength(3);
  });
});
