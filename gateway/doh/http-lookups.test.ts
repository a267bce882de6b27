import { expect, test } from 'vitest';
import { createHttpLookups } from './http-lookups.ts';

/** Answers by target; 404 for what is not there. */
function setUp(answers: Record<string, unknown>, token = '') {
  const asked: [target: string, headers: readonly string[]][] = [];
  const lookups = createHttpLookups({
    token,
    maxKept: 10,
    read: async (target, headers) => {
      asked.push([decodeURIComponent(target), headers]);
      const value = answers[decodeURIComponent(target)];
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const status = value === undefined ? 404 : typeof value === 'string' ? 500 : 200;
      return { status, headers: [], body: new TextEncoder().encode(text ?? '') };
    },
  });
  return { asked, lookups };
}

const NODE = { Node: 'n1', Address: '10.0.0.1' };

test('the same object comes back while the answer is unchanged', async () => {
  const target = '/v1/health/service/web?stale&tag=v1&dc=dc1';
  const answers: Record<string, unknown> = { [target]: [{ Service: { Port: 1 } }] };
  const { lookups } = setUp(answers);
  const lookup = { service: 'web', tag: 'v1', kind: 'service', datacenter: 'dc1' } as const;
  const first = await lookups.service(lookup);
  expect(await lookups.service(lookup)).toBe(first);
  answers[target] = [{ Service: { Port: 2 } }];
  const second = await lookups.service(lookup);
  expect(second).not.toBe(first);
  expect(second).toEqual([{ Service: { Port: 2 } }]);
});

test('nodes, connect instances and queries', async () => {
  const { asked, lookups } = setUp(
    {
      '/v1/catalog/node/n1?stale&dc=dc1': { Node: NODE, Services: {} },
      '/v1/catalog/node/none?stale&dc=dc1': null as unknown,
      '/v1/health/connect/web?stale&dc=dc1': [],
      '/v1/query/q/execute?stale&dc=dc1': {
        Service: 'web',
        Datacenter: 'dc2',
        Nodes: [],
        DNS: { TTL: '5s' },
      },
    },
    'secret',
  );
  expect(await lookups.node('n1', 'dc1')).toEqual(NODE);
  expect(await lookups.node('none', 'dc1')).toBeUndefined();
  expect(
    await lookups.service({ service: 'web', tag: undefined, kind: 'connect', datacenter: 'dc1' }),
  ).toEqual([]);
  expect(await lookups.preparedQuery('q', 'dc1', '192.0.2.1')).toEqual({
    service: 'web',
    datacenter: 'dc2',
    nodes: [],
    ttl: '5s',
  });
  expect(await lookups.preparedQuery('other', 'dc1', '')).toBeUndefined();
  expect(asked[3]?.[1]).toEqual(['X-Consul-Token', 'secret', 'X-Forwarded-For', '192.0.2.1']);
});

test('addresses are looked for in the lists, with or without the list of everything', async () => {
  const withList = setUp({
    '/v1/catalog/nodes?stale&filter=Address == "10.0.0.1"': [NODE],
    '/v1/internal/ui/nodes?stale&filter=Services.Address == "10.0.0.9"': [
      {
        Services: [
          { Service: 'x', Address: '1.1.1.1' },
          { Service: 'web', Address: '10.0.0.9' },
        ],
      },
    ],
  });
  expect(await withList.lookups.nodeByAddress('10.0.0.1')).toEqual(NODE);
  expect(await withList.lookups.serviceByAddress('10.0.0.9')).toBe('web');
  const without = setUp({
    '/v1/catalog/services?stale': { b: [], a: [] },
    '/v1/catalog/service/a?stale&filter=ServiceAddress == "10.0.0.9"': [],
    '/v1/catalog/service/b?stale&filter=ServiceAddress == "10.0.0.9"': [{ ServiceName: 'b' }],
  });
  expect(await without.lookups.serviceByAddress('10.0.0.9')).toBe('b');
});

test('a datacenter that is not there is told apart from a failure', async () => {
  const { lookups } = setUp({
    '/v1/catalog/node/n1?stale&dc=dc9': 'No path to datacenter',
    '/v1/catalog/node/n1?stale&dc=dc1': 'No cluster leader',
  });
  await expect(lookups.node('n1', 'dc9')).rejects.toMatchObject({ code: 'no-path-to-datacenter' });
  await expect(lookups.node('n1', 'dc1')).rejects.toMatchObject({ code: 'internal' });
});
