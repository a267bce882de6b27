import { describe, expect, test } from 'vitest';
import { OPERATIONS } from '../api/operations.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { type ClientOptions, createClient, RequestError, valueBytes, valueText } from './client.ts';
import { fakeServer, type ScriptedAnswer } from './testing/fake-server.ts';

function clientOf(answers: readonly (ScriptedAnswer | Error)[], options: ClientOptions = {}) {
  const server = fakeServer(...answers);
  const env = simulatedEnv(1);
  const client = createClient({ fetch: server.fetch, env, ...options });
  return { client, env, asked: server.asked, targets: () => server.asked.map(({ target }) => target) };
}

describe('a request', () => {
  test('carries token, datacenter and consistency', async () => {
    const { client, asked } = clientOf([{ body: [] }], {
      address: 'https://consul.example/base/',
      token: 'secret',
      datacenter: 'dc2',
    });
    await client.health.service('web', { passing: true, tags: ['a', 'b c'], consistency: 'stale' });
    await client.catalog.nodes({ nodeMeta: { os: 'linux', 'a b': 'c' }, datacenter: 'dc3', near: '_agent' });
    expect(asked.map(({ target }) => target)).toEqual([
      '/base/v1/health/service/web?dc=dc2&stale&tag=a&tag=b%20c&passing',
      '/base/v1/catalog/nodes?dc=dc3&near=_agent&node-meta=os%3Alinux&node-meta=a%20b%3Ac',
    ]);
    expect(asked[0]?.headers.get('x-consul-token')).toBe('secret');
  });

  test('keeps digits that a double would lose, both ways', async () => {
    const entry = '{"LockIndex":0,"Key":"k","Flags":18446744073709551615,"Value":"w6k="}';
    const { client, targets } = clientOf([{ body: `[${entry}]` }, { body: true }]);
    const found = await client.kv.get('k');
    expect(found?.Flags).toBe(18446744073709551615n);
    expect(found && valueText(found)).toBe('é');
    await client.kv.put('k', 'x', { flags: 18446744073709551615n, cas: 3 });
    expect(targets()[1]).toBe('/v1/kv/k?flags=18446744073709551615&cas=3');
  });

  test('says what was refused and why', async () => {
    const { client } = clientOf([{ status: 500, body: 'No cluster leader' }]);
    const error = await client.kv.put('k', 'v').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({
      status: 500,
      reason: 'No cluster leader',
      message: 'PUT /v1/kv/k: 500 No cluster leader',
    });
  });

  test('ends when no answer comes in time, waits added to the time', async () => {
    const { client, env } = clientOf([{ hangs: true }], { timeoutMs: 1000 });
    const ends: string[] = [];
    const end = (name: string) => (error: unknown) => ends.push(`${name} ${(error as Error).name}`);
    const plain = client.read('/v1/status/leader').catch(end('plain'));
    const waiting = client.read('/v1/catalog/nodes', {}, { index: 5n, waitMs: 16_000 }).catch(end('waiting'));
    await env.clock.advanceAsync(1000);
    await plain;
    expect(ends).toEqual(['plain TimeoutError']);
    await env.clock.advanceAsync(16_999);
    expect(ends).toHaveLength(1);
    await env.clock.advanceAsync(1);
    await waiting;
    expect(ends).toEqual(['plain TimeoutError', 'waiting TimeoutError']);
  });

  test('ends with the caller', async () => {
    const { client } = clientOf([{ hangs: true }]);
    const caller = new AbortController();
    const reading = client.catalog.nodes({ signal: caller.signal });
    caller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });

  test.each(['ftp://x', 'nonsense'])('is not made to %s', (address) => {
    expect(() => createClient({ address })).toThrow(TypeError);
  });
});

describe('keys', () => {
  test('that do not exist are undefined, not errors', async () => {
    const { client } = clientOf([{ status: 404, index: '9', body: '' }]);
    expect(await client.kv.get('none')).toBeUndefined();
    expect(await client.kv.text('none')).toBeUndefined();
    expect(await client.kv.list('none')).toEqual([]);
    expect(await client.kv.keys('none', '/')).toEqual([]);
  });

  test('are escaped part by part', async () => {
    const { client, targets } = clientOf([{ body: true }]);
    await client.kv.put('a/b c/ü?#%', new Uint8Array([0, 255]));
    await client.kv.deleteAll('a/');
    await client.kv.delete('a/b', { cas: 7 });
    expect(targets()).toEqual(['/v1/kv/a/b%20c/%C3%BC%3F%23%25', '/v1/kv/a/?recurse', '/v1/kv/a/b?cas=7']);
  });

  test.each(['', '/a', 'a//b', 'a/../b', '.'])('%j is refused before it changes another one', async (key) => {
    const { client, asked } = clientOf([{ body: true }]);
    await expect(async () => client.kv.put(key, 'v')).rejects.toThrow(RangeError);
    await expect(async () => client.kv.delete(key)).rejects.toThrow(RangeError);
    expect(asked).toEqual([]);
  });

  test('have values of any bytes', () => {
    expect(valueBytes({ Value: 'AP8=' })).toEqual(new Uint8Array([0, 255]));
    expect(valueBytes({ Value: null })).toEqual(new Uint8Array(0));
  });
});

test.each(['', '.', '..'])('the name %j is no part of a path', async (name) => {
  const { client, asked } = clientOf([{ body: [] }]);
  await expect(async () => client.agent.services.deregister(name)).rejects.toThrow(RangeError);
  expect(asked).toEqual([]);
});

test('a transaction that fails says so in its answer', async () => {
  const outcome = { Results: null, Errors: [{ OpIndex: 0, What: 'key "k" doesn\'t exist' }] };
  const { client, asked } = clientOf([{ status: 409, body: outcome }]);
  expect(await client.txn([{ KV: { Verb: 'get', Key: 'k' } }])).toEqual(outcome);
  expect(asked[0]?.body).toBe('[{"KV":{"Verb":"get","Key":"k"}}]');
});

test('a session that has ended is not renewed', async () => {
  const { client } = clientOf([{ body: { ID: 's' } }, { status: 404, body: "Session id 's' not found" }]);
  const id = await client.session.create({ TTL: '10s' });
  expect(await client.session.renew(id)).toBeUndefined();
});

describe('every method', () => {
  const CALLS: readonly ((client: ReturnType<typeof createClient>) => unknown)[] = [
    (c) => c.agent.self(),
    (c) => c.agent.members(),
    (c) => c.agent.setMaintenance(true, 'why'),
    (c) => c.agent.services.list('Port == 80'),
    (c) => c.agent.services.register({ Name: 'web' }, { replacesChecks: true }),
    (c) => c.agent.services.deregister('web'),
    (c) => c.agent.services.setMaintenance('web', false),
    (c) => c.agent.checks.list(),
    (c) => c.agent.checks.register({ Name: 'up', TTL: '10s' }),
    (c) => c.agent.checks.deregister('up'),
    (c) => c.agent.checks.pass('up', 'fine'),
    (c) => c.agent.checks.warn('up'),
    (c) => c.agent.checks.fail('up'),
    (c) => c.agent.checks.update('up', { Status: 'passing' }),
    (c) => c.catalog.datacenters(),
    (c) => c.catalog.nodes({ filter: 'x == y', near: 'n', nodeMeta: { a: 'b' } }),
    (c) => c.catalog.services({ consistency: 'consistent' }),
    (c) => c.catalog.service('web', { tags: ['a'] }),
    (c) => c.catalog.node('n'),
    (c) => c.catalog.register({ Node: 'n', Address: '10.0.0.1' }),
    (c) => c.catalog.deregister({ Node: 'n' }),
    (c) => c.catalog.watchNodes().next(),
    (c) => c.catalog.watchServices().next(),
    (c) => c.health.service('web', { passing: true, tags: ['a'], near: 'n', filter: 'x == y' }),
    (c) => c.health.checks('web'),
    (c) => c.health.node('n'),
    (c) => c.health.state('any'),
    (c) => c.health.watch('web', { waitMs: 10 }).next(),
    (c) => c.kv.get('k'),
    (c) => c.kv.list('k'),
    (c) => c.kv.keys('k', '/'),
    (c) => c.kv.put('k', 'v', { flags: 1, acquire: 's' }),
    (c) => c.kv.put('k', 'v', { release: 's' }),
    (c) => c.kv.delete('k'),
    (c) => c.kv.deleteAll('k'),
    (c) => c.kv.watch('k').next(),
    (c) => c.kv.watchAll('k').next(),
    (c) => c.session.create(),
    (c) => c.session.destroy('s'),
    (c) => c.session.renew('s'),
    (c) => c.session.info('s'),
    (c) => c.session.list(),
    (c) => c.session.ofNode('n'),
    (c) => c.event.fire('deploy', 'payload', { node: '.*', service: 'web', tag: 'a' }),
    (c) => c.event.list('deploy', { index: 3n, waitMs: 5 }),
    (c) => c.txn([{ KV: { Verb: 'get', Key: 'k' } }]),
    (c) => c.watch('/v1/coordinate/nodes').next(),
  ];

  test.each(CALLS.map((call) => [String(call).replace('(c)=>', ''), call] as const))(
    '%s asks for what the API has',
    async (_, call) => {
      const { client, asked } = clientOf([{ index: '5', body: [] }], { datacenter: 'dc1' });
      await call(client);
      const [{ method, target } = { method: '', target: '' }] = asked;
      const url = new URL(target, 'http://x');
      const operation = OPERATIONS.find((each) => {
        const pattern = each.path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+');
        return each.method === method && new RegExp(`^${pattern}$`).test(url.pathname);
      });
      expect(operation, `${method} ${url.pathname}`).toBeDefined();
      const known: readonly string[] = [...(operation?.query ?? []), 'dc'];
      expect([...url.searchParams.keys()].filter((name) => !known.includes(name))).toEqual([]);
    },
  );
});
