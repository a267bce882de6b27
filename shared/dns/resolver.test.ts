import { describe, expect, it } from 'vitest';
import { noClusterLeader, noPathToDatacenter, notFound, permissionDenied } from '../errors.ts';
import { createLogger, formatLogLine, type LogRecord } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { DEFAULT_DNS_CONFIG } from './config.ts';
import type { DnsLookups } from './lookups.ts';
import { createResolver, type DnsResolver } from './resolver.ts';
import { ask, buildQuery, FakeCatalog, type PlainAnswer, promised } from './testing.ts';
import { EXAMPLE_CONFIG, exampleCatalog, resolverOf } from './testing-example.ts';

const SOA = 'consul. 0 SOA ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0';

describe('names and zones', () => {
  it('echoes the spelling of the question and matches any case', async () => {
    const resolver = resolverOf(exampleCatalog());
    const { answers } = await ask(resolver, 'V1.Web.SERVICE.Consul', 'A');
    expect(answers).toEqual(['V1.Web.SERVICE.Consul. 0 A 127.0.0.40']);
  });

  it('answers the alternative domain equally and names the first one inside', async () => {
    const config = {
      domain: 'Example',
      altDomain: 'alt.',
      soa: { refresh: 1800, retry: 300, expire: 43200, minTtl: 60 },
    };
    const resolver = resolverOf(exampleCatalog(), config);
    const srv = await ask(resolver, 'v1.web.service.alt', 'SRV');
    expect(srv.answers).toEqual(['v1.web.service.alt. 0 SRV 1 1 80 n1.node.dc1.example.']);
    const absent = await ask(resolver, 'none.service.alt', 'A');
    expect(absent.authority).toEqual([
      'example. 60 SOA ns.example. hostmaster.example. 1700000000 1800 300 43200 60',
    ]);
    expect((await ask(resolver, 'web.service.consul', 'A')).rcode).toBe('SERVFAIL');
  });

  it('finds proxies by connect and gateways by ingress, tags ignored', async () => {
    const catalog = exampleCatalog()
      .addInstance({ node: 'n1', service: 'web', id: 'p', address: '10.9.9.9', kind: 'connect' })
      .addInstance({ node: 'n1', service: 'web', id: 'g', address: '10.8.8.8', kind: 'ingress' });
    const resolver = resolverOf(catalog);
    expect((await ask(resolver, 'any.web.connect.consul', 'A')).answers).toEqual([
      'any.web.connect.consul. 0 A 10.9.9.9',
    ]);
    expect((await ask(resolver, 'web.ingress.dc1.consul', 'A')).answers).toEqual([
      'web.ingress.dc1.consul. 0 A 10.8.8.8',
    ]);
  });

  it('reaches nodes with dots and shortens odd ID prefixes', async () => {
    const catalog = exampleCatalog().addNode({ name: 'a.b', address: '10.0.0.9', id: 'aa00' });
    const resolver = resolverOf(catalog);
    expect((await ask(resolver, 'a.b.node.consul', 'A')).answers).toEqual(['a.b.node.consul. 0 A 10.0.0.9']);
    expect((await ask(resolver, 'aa0.node.consul', 'A')).answers).toEqual(['aa0.node.consul. 0 A 10.0.0.9']);
    expect((await ask(resolver, 'a.node.consul', 'A')).rcode).toBe('NXDOMAIN');
  });

  it('takes another configuration, and keeps the old one when the new is unusable', async () => {
    const resolver = resolverOf(exampleCatalog());
    resolver.reconfigure({ ...DEFAULT_DNS_CONFIG, nodeTtlMs: 7000 });
    expect(() => resolver.reconfigure({ ...DEFAULT_DNS_CONFIG, domain: `${'x'.repeat(64)}.` })).toThrow(
      RangeError,
    );
    expect((await ask(resolver, 'n1.node.consul', 'A')).answers).toEqual(['n1.node.consul. 7 A 127.0.0.40']);
  });
});

describe('health and weights', () => {
  const catalog = () =>
    new FakeCatalog().addNode({ name: 'a', address: '10.0.0.1' }).addNode({ name: 'b', address: '10.0.0.2' });
  const addresses = async (resolver: DnsResolver, name = 'web.service.consul') =>
    (await ask(resolver, name, 'A')).answers.map((answer) => answer.split(' ')[3]).sort();

  it.each([
    { checks: ['critical'], nodeChecks: {}, all: [], passing: [] },
    { checks: ['warning'], nodeChecks: {}, all: ['10.0.0.1'], passing: [] },
    { checks: ['passing', 'warning'], nodeChecks: {}, all: ['10.0.0.1'], passing: [] },
    { checks: ['passing'], nodeChecks: { serfHealth: 'critical' }, all: [], passing: [] },
    { checks: [], nodeChecks: { _node_maintenance: 'critical' }, all: [], passing: [] },
    { checks: ['strange'], nodeChecks: {}, all: ['10.0.0.1'], passing: [] },
    { checks: [], nodeChecks: {}, all: ['10.0.0.1'], passing: ['10.0.0.1'] },
  ])('with $checks and $nodeChecks', async ({ checks, nodeChecks, all, passing }) => {
    const lookups = catalog().addInstance({ node: 'a', service: 'web', checks, nodeChecks });
    expect(await addresses(resolverOf(lookups))).toEqual(all);
    expect(await addresses(resolverOf(lookups, { onlyPassing: true }))).toEqual(passing);
    const { rcode, authority } = await ask(resolverOf(lookups), 'web.service.consul', 'A');
    expect(rcode).toBe(all.length === 0 ? 'NXDOMAIN' : 'NOERROR');
    expect(authority.length).toBe(all.length === 0 ? 1 : 0);
  });

  it('ignores a critical check of another service of the node', async () => {
    const lookups = catalog().addInstance({ node: 'a', service: 'web' });
    const entry = lookups.service({ service: 'web', tag: undefined, kind: 'service', datacenter: 'dc1' })[0];
    const foreign = { ...entryCheck(), ServiceID: 'other', ServiceName: 'other', Status: 'critical' };
    entry?.Checks.push(foreign);
    expect(await addresses(resolverOf(lookups))).toEqual(['10.0.0.1']);
  });

  it.each([
    [['passing'], 7],
    [['warning', 'passing'], 3],
    [['strange'], 1],
    [[], 7],
  ])('weighs %j as %i', async (checks, weight) => {
    const weights = { Passing: 7, Warning: 3 };
    const lookups = catalog().addInstance({ node: 'a', service: 'web', port: 80, checks, weights });
    const { answers } = await ask(resolverOf(lookups), 'web.service.consul', 'SRV');
    expect(answers).toEqual([`web.service.consul. 0 SRV 1 ${weight} 80 a.node.dc1.consul.`]);
  });

  it('answers what prepared queries give whatever its health', async () => {
    const lookups = catalog().addInstance({ node: 'a', service: 'web', checks: ['warning'] });
    const nodes = lookups.service({ service: 'web', tag: undefined, kind: 'service', datacenter: 'dc1' });
    lookups.queries.set('q', { service: 'web', datacenter: 'dc2', nodes, ttl: '' });
    const resolver = resolverOf(lookups, { onlyPassing: true, serviceTtlMs: { 'w*': 4000 } });
    const { answers } = await ask(resolver, 'q.query.consul', 'SRV');
    expect(answers).toEqual(['q.query.consul. 4 SRV 1 1 0 a.node.dc2.consul.']);
    lookups.queries.set('q', { service: 'web', datacenter: 'dc1', nodes: [], ttl: '1s' });
    expect((await ask(resolver, 'q.query.consul', 'A')).rcode).toBe('NXDOMAIN');
  });

  it('shows changes of the catalog at once', async () => {
    const lookups = catalog().addInstance({ node: 'a', service: 'web' });
    const resolver = resolverOf(lookups);
    expect(await addresses(resolver)).toEqual(['10.0.0.1']);
    lookups.addInstance({ node: 'b', service: 'web' });
    expect(await addresses(resolver)).toEqual(['10.0.0.1', '10.0.0.2']);
    lookups.removeService('web');
    expect(await addresses(resolver)).toEqual([]);
  });
});

describe('duplicates, order, limits', () => {
  it('answers one A and two SRV for two ports of one address', async () => {
    const lookups = new FakeCatalog()
      .addNode({ name: 'a', address: '10.0.0.1' })
      .addInstance({ node: 'a', service: 'web', id: '1', port: 80 })
      .addInstance({ node: 'a', service: 'web', id: '2', port: 81 })
      .addInstance({ node: 'a', service: 'web', id: '3', port: 81 });
    const resolver = resolverOf(lookups);
    expect((await ask(resolver, 'web.service.consul', 'A')).answers).toEqual([
      'web.service.consul. 0 A 10.0.0.1',
    ]);
    expect((await ask(resolver, 'web.service.consul', 'SRV')).answers.length).toBe(2);
  });

  it('shuffles fairly, also when only some are sent', async () => {
    const lookups = new FakeCatalog();
    for (let i = 0; i < 10; i++)
      lookups
        .addNode({ name: `n${i}`, address: `10.0.0.${i}` })
        .addInstance({ node: `n${i}`, service: 'web' });
    const resolver = resolverOf(lookups);
    const counts = new Map<string, number>();
    for (let i = 0; i < 3000; i++)
      for (const answer of (await ask(resolver, 'web.service.consul', 'A')).answers)
        counts.set(answer, (counts.get(answer) ?? 0) + 1);
    expect(counts.size).toBe(10);
    for (const count of counts.values()) expect(Math.abs(count - 900)).toBeLessThan(150);
  });

  it('caps addresses by a_record_limit on every transport and leaves SRV alone', async () => {
    const lookups = new FakeCatalog().addNode({ name: 'a', address: '10.0.0.1' });
    for (let i = 1; i <= 5; i++)
      lookups.addInstance({ node: 'a', service: 'web', id: `${i}`, address: `10.1.0.${i}`, port: 80 });
    const resolver = resolverOf(lookups, { aRecordLimit: 2 });
    const tcp = { transport: 'tcp' } as const;
    expect((await ask(resolver, 'web.service.consul', 'A')).answers.length).toBe(2);
    expect((await ask(resolver, 'web.service.consul', 'ANY', tcp)).answers.length).toBe(2);
    expect((await ask(resolver, 'web.service.consul', 'SRV', tcp)).answers.length).toBe(5);
  });
});

describe('addresses', () => {
  const tagged = (Address: string, Port = 0) => ({ Address, Port });

  it('translates to wan for another datacenter only when configured', async () => {
    const lookups = new FakeCatalog()
      .addNode({ name: 'far', address: '10.0.0.1', datacenter: 'dc2', tagged: { wan: '192.0.2.1' } })
      .addInstance({ node: 'far', service: 'web', port: 80, tagged: { wan: tagged('198.51.100.7', 8080) } })
      .addInstance({ node: 'far', service: 'plain', port: 80 });
    const plain = resolverOf(lookups);
    const translating = resolverOf(lookups, { translateWanAddrs: true });
    const srv = async (resolver: DnsResolver, name: string) => (await ask(resolver, name, 'SRV')).answers;
    expect((await ask(plain, 'far.node.dc2.consul', 'A')).answers).toEqual([
      'far.node.dc2.consul. 0 A 10.0.0.1',
    ]);
    expect((await ask(translating, 'far.node.dc2.consul', 'A')).answers).toEqual([
      'far.node.dc2.consul. 0 A 192.0.2.1',
    ]);
    expect(await srv(plain, 'web.service.dc2.consul')).toEqual([
      'web.service.dc2.consul. 0 SRV 1 1 80 far.node.dc2.consul.',
    ]);
    expect(await srv(translating, 'web.service.dc2.consul')).toEqual([
      'web.service.dc2.consul. 0 SRV 1 1 8080 c6336407.addr.dc2.consul.',
    ]);
    expect(await srv(translating, 'plain.service.dc2.consul')).toEqual([
      'plain.service.dc2.consul. 0 SRV 1 1 80 c0000201.addr.dc2.consul.',
    ]);
  });

  it('prefers the tagged address of the family that is asked', async () => {
    const lookups = new FakeCatalog()
      .addNode({ name: 'a', address: '10.0.0.1', tagged: { lan_ipv4: '10.0.0.4', lan_ipv6: '2001:db8::6' } })
      .addInstance({ node: 'a', service: 'web', port: 80 });
    const resolver = resolverOf(lookups);
    const first = async (type: string) => (await ask(resolver, 'web.service.consul', type)).answers;
    expect(await first('A')).toEqual(['web.service.consul. 0 A 10.0.0.4']);
    expect(await first('AAAA')).toEqual(['web.service.consul. 0 AAAA 2001:db8::6']);
    expect(await first('ANY')).toEqual(['web.service.consul. 0 AAAA 2001:db8::6']);
    expect(await first('SRV')).toEqual([
      'web.service.consul. 0 SRV 1 1 80 20010db8000000000000000000000006.addr.dc1.consul.',
    ]);
  });

  it('follows host names inside the zone three steps and drops loops', async () => {
    const lookups = exampleCatalog()
      .addInstance({ node: 'n1', service: 'alias', port: 1, address: 'n1.node.consul' })
      .addInstance({ node: 'n1', service: 'loop', port: 1, address: 'Loop.service.consul' })
      .addNode({ name: 'cname', address: 'v1.web.service.consul' });
    const resolver = resolverOf(lookups, EXAMPLE_CONFIG);
    expect((await ask(resolver, 'alias.service.consul', 'AAAA')).answers).toEqual([
      'alias.service.consul. 9 CNAME n1.node.consul.',
      'n1.node.consul. 9 A 127.0.0.40',
    ]);
    const srv = await ask(resolver, 'alias.service.consul', 'SRV');
    expect(srv.answers).toEqual(['alias.service.consul. 9 SRV 1 1 1 n1.node.consul.']);
    expect(srv.additional[0]).toBe('n1.node.consul. 9 A 127.0.0.40');
    expect((await ask(resolver, 'cname.node.consul', 'A')).answers).toEqual([
      'cname.node.consul. 30 CNAME v1.web.service.consul.',
      'v1.web.service.consul. 5 A 127.0.0.40',
    ]);
    // The spelling differs from the address, so it is no own name: the chain is cut after three steps.
    expect((await ask(resolver, 'loop.service.consul', 'A')).answers.length).toBeLessThanOrEqual(4);
  });

  it('answers the node address for a service whose address is the very name that is asked', async () => {
    const lookups = exampleCatalog().addInstance({
      node: 'n1',
      service: 'self',
      port: 5,
      address: 'self.service.consul',
    });
    const resolver = resolverOf(lookups);
    expect((await ask(resolver, 'self.service.consul', 'A')).answers).toEqual([
      'self.service.consul. 0 A 127.0.0.40',
    ]);
    expect((await ask(resolver, 'self.service.consul', 'SRV')).answers).toEqual([
      'self.service.consul. 0 SRV 1 1 5 n1.node.dc1.consul.',
    ]);
  });

  it('prefers addresses to host names among the instances of a service', async () => {
    const lookups = exampleCatalog().addInstance({
      node: 'n1',
      service: 'ext',
      id: 'ip',
      address: '10.5.5.5',
    });
    const resolver = resolverOf(lookups);
    for (let i = 0; i < 5; i++)
      expect((await ask(resolver, 'ext.service.consul', 'A')).answers).toEqual([
        'ext.service.consul. 0 A 10.5.5.5',
      ]);
  });

  it('gives nodes that DNS cannot name an address target', async () => {
    const name = 'n'.repeat(64);
    const lookups = new FakeCatalog()
      .addNode({ name, address: '10.0.0.1' })
      .addInstance({ node: name, service: 'web' });
    expect((await ask(resolverOf(lookups), 'web.service.consul', 'SRV')).answers).toEqual([
      'web.service.consul. 0 SRV 1 1 0 0a000001.addr.dc1.consul.',
    ]);
  });
});

describe('node meta', () => {
  it('quotes keys, leaves rfc1035 values bare and splits long text', async () => {
    const meta = { ' a=`b ': 'v`=', 'RFC1035-x': 'bare = text', long: 'x'.repeat(300) };
    const lookups = new FakeCatalog().addNode({ name: 'm', address: '10.0.0.1', meta });
    const { answers } = await ask(resolverOf(lookups), 'm.node.consul', 'TXT');
    expect(answers).toEqual([
      'm.node.consul. 0 TXT "` a`=``b` =v``="',
      'm.node.consul. 0 TXT "bare = text"',
      `m.node.consul. 0 TXT "long=${'x'.repeat(250)}" "${'x'.repeat(50)}"`,
    ]);
  });

  it('leaves Additional empty when switched off, but answers TXT', async () => {
    const resolver = resolverOf(exampleCatalog(), { enableAdditionalNodeMetaTxt: false });
    expect((await ask(resolver, 'n1.node.consul', 'A')).additional).toEqual([]);
    expect((await ask(resolver, 'v1.web.service.consul', 'SRV')).additional).toEqual([
      'n1.node.dc1.consul. 0 A 127.0.0.40',
    ]);
    expect((await ask(resolver, 'n1.node.consul', 'TXT')).answers.length).toBe(2);
  });
});

describe('EDNS', () => {
  const subnetOf = (answer: PlainAnswer) => answer.message.edns?.subnet;

  it.each([0, 512, 1232, 65535])('echoes the size %i', async (udpSize) => {
    const { message } = await ask(resolverOf(exampleCatalog()), 'web.service.consul', 'A', { udpSize });
    expect(message.edns).toMatchObject({ udpSize, isDnssecOk: false, extendedRcode: 0 });
  });

  it('scopes the subnet for answers of prepared queries only', async () => {
    const resolver = resolverOf(exampleCatalog());
    const subnet = '203.0.113.9/24';
    expect(subnetOf(await ask(resolver, 'web.service.consul', 'A', { subnet }))).toMatchObject({
      sourceBits: 24,
      scopeBits: 0,
    });
    expect(subnetOf(await ask(resolver, 'wq.query.consul', 'A', { subnet }))).toMatchObject({
      sourceBits: 24,
      scopeBits: 24,
    });
    expect(subnetOf(await ask(resolver, 'nq.query.consul', 'A', { subnet }))).toMatchObject({ scopeBits: 0 });
    expect(subnetOf(await ask(resolver, 'wq.query.consul', 'A', { subnet: '2001:db8::/48' }))).toMatchObject({
      family: 2,
      sourceBits: 48,
      scopeBits: 48,
    });
  });

  it('goes with SERVFAIL of unknown reverse names but not of foreign names', async () => {
    const resolver = resolverOf(exampleCatalog());
    expect(
      (await ask(resolver, '9.9.9.9.in-addr.arpa', 'PTR', { udpSize: 4096 })).message.edns?.udpSize,
    ).toBe(4096);
    expect((await ask(resolver, 'example.com', 'A', { udpSize: 4096 })).message.edns).toBeUndefined();
  });
});

describe('failures', () => {
  it.each([
    [permissionDenied(), 'SERVFAIL', 0],
    [noClusterLeader(), 'SERVFAIL', 0],
    [noPathToDatacenter(), 'NXDOMAIN', 1],
    [notFound('Query not found'), 'NXDOMAIN', 1],
    [new Error('unexpected'), 'SERVFAIL', 0],
  ])('%s becomes %s', async (failure, rcode, soas) => {
    for (const wrap of [(lookups: DnsLookups) => lookups, promised]) {
      const catalog = exampleCatalog();
      catalog.failure = failure;
      const resolver = resolverOf(wrap(catalog));
      for (const name of ['web.service.consul', 'n1.node.consul', 'wq.query.consul']) {
        const answer = await ask(resolver, name, 'A');
        expect([answer.rcode, answer.authority.length, answer.flags]).toEqual([rcode, soas, 'AA RD']);
      }
      expect((await ask(resolver, 'consul', 'SOA')).answers).toEqual([SOA]);
      expect((await ask(resolver, '40.0.0.127.in-addr.arpa', 'PTR')).rcode).toBe('SERVFAIL');
    }
  });
});

describe('what is reported', () => {
  it('is every answer: a debug line in the words of Consul, and its time', async () => {
    const records: LogRecord[] = [];
    const log = createLogger(
      'agent.dns',
      [{ wants: () => true, write: (record) => records.push(record) }],
      () => 0,
    );
    const timings: [string, number][] = [];
    const resolver = createResolver(DEFAULT_DNS_CONFIG, exampleCatalog(), {
      env: simulatedEnv(1),
      log,
      onAnswered: (kind, elapsedMs) => timings.push([kind, elapsedMs]),
    });
    await resolver.answer(buildQuery('n1.node.consul', 'A'), 'udp', '::1', 5353);
    await resolver.answer(buildQuery('40.0.0.127.in-addr.arpa', 'PTR'), 'tcp', '127.0.0.1', 53);
    expect(timings).toEqual([
      ['domain', 0],
      ['ptr', 0],
    ]);
    expect(records.map((record) => formatLogLine(record).replace(/^\S+ /, ''))).toEqual([
      '[DEBUG] agent.dns: request served from client: name=n1.node.consul. type=A class=IN latency=0.000µs client=[::1]:5353 client_network=udp',
      '[DEBUG] agent.dns: request served from client: name=40.0.0.127.in-addr.arpa. type=PTR class=IN latency=0.000µs client=127.0.0.1:53 client_network=tcp',
    ]);
  });
});

function entryCheck() {
  return {
    Node: 'a',
    CheckID: 'c',
    Name: 'c',
    Status: 'passing',
    Notes: '',
    Output: '',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: '',
    Definition: {},
    CreateIndex: 1,
    ModifyIndex: 1,
  };
}
