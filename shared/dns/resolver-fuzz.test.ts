import { expect, it } from 'vitest';
import { silentLogger } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { DEFAULT_DNS_CONFIG } from './config.ts';
import { decodeMessage } from './message.ts';
import { createResolver } from './resolver.ts';
import { buildQuery, FakeCatalog, mutate, promised } from './testing.ts';

it('answers every mutation of a query with a message that can be read, or with nothing', async () => {
  const catalog = new FakeCatalog()
    .addNode({ name: 'n1', address: '10.0.0.1', meta: { rack: 'r1' } })
    .addNode({ name: 'h', address: 'web.service.consul' });
  for (let i = 0; i < 30; i++)
    catalog.addInstance({ node: i % 2 === 0 ? 'n1' : 'h', service: 'web', id: `${i}`, port: i });
  const env = simulatedEnv(99);
  const seeds = [
    buildQuery('web.service.consul', 'A'),
    buildQuery('web.service.consul', 'SRV', { udpSize: 700 }),
    buildQuery('_web._tcp.consul', 'SRV', { subnet: '10.0.0.0/8' }),
    buildQuery('h.node.dc1.consul', 'ANY'),
    buildQuery('0a000001.addr.consul', 'A'),
    buildQuery('1.0.0.10.in-addr.arpa', 'PTR'),
    buildQuery('x.query.consul', 'TXT'),
    buildQuery('consul', 'SOA'),
  ];
  const kinds = new Map<string, number>();
  for (const lookups of [catalog, promised(catalog)]) {
    const resolver = createResolver(DEFAULT_DNS_CONFIG, lookups, { env, log: silentLogger });
    for (let i = 0; i < 6000; i++) {
      const query = mutate(seeds[i % seeds.length] ?? new Uint8Array(0), env.random);
      const transport = (['udp', 'tcp', 'https'] as const)[i % 3] ?? 'udp';
      const reply = await resolver.answer(query, transport, '127.0.0.1');
      const kind = reply === undefined ? 'silence' : `rcode ${decodeMessage(reply).flags & 0xf}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (reply !== undefined) expect([reply[0], reply[1]]).toEqual([query[0], query[1]]);
    }
  }
  expect([...kinds.keys()].sort()).toEqual([
    'rcode 0',
    'rcode 1',
    'rcode 2',
    'rcode 3',
    'rcode 4',
    'silence',
  ]);
});
