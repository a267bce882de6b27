import { afterEach, expect, test } from 'vitest';
import { badRequest, noClusterLeader } from '../../shared/errors.ts';
import { Metrics } from '../../shared/metrics.ts';
import { send, startTestServer, type TestServer } from './testing.ts';

let server: TestServer | undefined;
afterEach(() => server?.server.close());

test('uses of the catalog are counted by how they end', async () => {
  const metrics = new Metrics();
  server = await startTestServer({}, { metrics });
  const { backend } = server;
  backend.answer('Catalog.ListNodes', () => []);
  backend.answer('Catalog.ListServices', () => {
    throw noClusterLeader();
  });
  backend.answer('Catalog.Register', () => {
    throw badRequest('no');
  });
  backend.answer('Status.Peers', () => []);
  await send(server, 'GET', '/v1/catalog/nodes');
  await send(server, 'GET', '/v1/catalog/nodes');
  await send(server, 'PUT', '/v1/catalog/nodes');
  await send(server, 'GET', '/v1/catalog/services');
  await send(server, 'PUT', '/v1/catalog/register', { body: '{}' });
  await send(server, 'GET', '/v1/status/peers');
  expect(metrics.report().Counters.map(({ Name, Sum, Labels }) => [Name, Sum, Labels])).toEqual([
    ['consul.client.api.catalog_nodes', 2, { node: 'n1' }],
    ['consul.client.api.catalog_register', 1, { node: 'n1' }],
    ['consul.client.api.catalog_services', 1, { node: 'n1' }],
    ['consul.client.api.success.catalog_nodes', 2, { node: 'n1' }],
    ['consul.client.rpc.error.catalog_services', 1, { node: 'n1' }],
  ]);
});
