import { describe, expect, it } from 'vitest';
import { hexOf } from './addresses.ts';
import { type AskOptions, ask, buildQuery, promised } from './testing.ts';
import { EXAMPLE_CONFIG, exampleCatalog, resolverOf } from './testing-example.ts';

const SOA = 'consul. 0 SOA ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0';

const sorted = (records: readonly string[]) => [...records].sort();

describe('the worked examples of the reference', () => {
  const texts = (owner: string, ttl: number) => [
    `${owner} ${ttl} TXT "consul-network-segment="`,
    `${owner} ${ttl} TXT "rack=r1"`,
  ];
  const n1 = 'n1.node.dc1.consul.';
  const cases: {
    ask: [name: string, type: string, options?: AskOptions];
    rcode?: string;
    flags?: string;
    answers?: string[];
    authority?: string[];
    additional?: string[];
  }[] = [
    {
      ask: ['web.service.consul', 'A'],
      answers: ['web.service.consul. 5 A 127.0.0.40', 'web.service.consul. 5 A 10.1.2.3'],
    },
    { ask: ['v1.web.service.consul', 'A'], answers: ['v1.web.service.consul. 5 A 127.0.0.40'] },
    {
      ask: ['_web._v1.consul', 'SRV'],
      answers: [`_web._v1.consul. 5 SRV 1 1 80 ${n1}`],
      additional: [`${n1} 5 A 127.0.0.40`, ...texts(n1, 5)],
    },
    {
      ask: ['dotted.tag.web.service.dc1.consul', 'A'],
      answers: ['dotted.tag.web.service.dc1.consul. 5 A 127.0.0.40'],
    },
    ...['web.service.consul', '_web._tcp.service.consul', '_web._TCP.consul'].map((name) => ({
      ask: [name, 'SRV'] as [string, string],
      answers: [`${name}. 5 SRV 1 1 80 ${n1}`, `${name}. 5 SRV 1 10 81 0a010203.addr.dc1.consul.`],
      additional: [
        `${n1} 5 A 127.0.0.40`,
        ...texts(n1, 5),
        '0a010203.addr.dc1.consul. 5 A 10.1.2.3',
        ...texts(n1, 5),
      ],
    })),
    {
      ask: ['n1.node.consul', 'A'],
      answers: ['n1.node.consul. 30 A 127.0.0.40'],
      additional: texts('n1.node.consul.', 30),
    },
    { ask: ['N1.Node.Consul', 'AAAA'], additional: texts('N1.Node.Consul.', 30) },
    {
      ask: ['n1.node.consul', 'ANY'],
      answers: ['n1.node.consul. 30 A 127.0.0.40', ...texts('n1.node.consul.', 30)],
    },
    { ask: ['n1.node.consul', 'TXT'], answers: texts('n1.node.consul.', 30) },
    { ask: ['n1.node.consul', 'SRV'] },
    {
      ask: ['3f9b0c1e.node.consul', 'A'],
      answers: ['3f9b0c1e.node.consul. 30 A 127.0.0.40'],
      additional: texts('3f9b0c1e.node.consul.', 30),
    },
    { ask: ['ext.service.consul', 'A'], answers: ['ext.service.consul. 9 CNAME www.example.com.'] },
    {
      ask: ['ext.service.consul', 'SRV'],
      answers: ['ext.service.consul. 9 SRV 1 1 443 www.example.com.'],
      additional: texts(n1, 9),
    },
    { ask: ['db.service.consul', 'A'], authority: [SOA] },
    { ask: ['db.service.consul', 'AAAA'], answers: ['db.service.consul. 9 AAAA 2001:db8::1'] },
    {
      ask: ['db.service.consul', 'SRV'],
      answers: ['db.service.consul. 9 SRV 1 1 5432 20010db8000000000000000000000001.addr.dc1.consul.'],
      additional: ['20010db8000000000000000000000001.addr.dc1.consul. 9 AAAA 2001:db8::1', ...texts(n1, 9)],
    },
    {
      ask: ['consul', 'SOA'],
      answers: [SOA],
      authority: [`consul. 30 NS ${n1}`],
      additional: [`${n1} 30 A 127.0.0.40`],
    },
    {
      ask: ['anything.at.all.consul', 'NS'],
      answers: [`consul. 30 NS ${n1}`],
      additional: [`${n1} 30 A 127.0.0.40`],
    },
    { ask: ['web.service.consul', 'MX'], authority: [SOA] },
    {
      ask: ['web.service.consul', 'TXT'],
      answers: ['web.service.consul. 5 A 127.0.0.40', 'web.service.consul. 5 A 10.1.2.3'],
    },
    { ask: ['nope.service.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['web.service.nodc.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['service.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['web.service.a.b.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['web.service.node.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['web.virtual.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['0A010203.addr.consul', 'AAAA'], answers: ['0a010203.addr.consul. 30 A 10.1.2.3'] },
    {
      ask: ['20010db8000000000000000000000042.addr.dc1.consul', 'A'],
      answers: ['20010db8000000000000000000000042.addr.dc1.consul. 30 AAAA 2001:db8::42'],
    },
    { ask: ['0a0a.addr.consul', 'A'] },
    { ask: ['0a0102030.addr.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['zz010203.addr.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['x.0a010203.addr.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    {
      ask: ['wq.query.consul', 'A'],
      answers: ['wq.query.consul. 11 A 127.0.0.40', 'wq.query.consul. 11 A 10.1.2.3'],
    },
    { ask: ['nq.query.consul', 'A'], rcode: 'NXDOMAIN', authority: [SOA] },
    { ask: ['40.0.0.127.in-addr.arpa', 'PTR'], answers: [`40.0.0.127.in-addr.arpa. 0 PTR ${n1}`] },
    {
      ask: ['40.0.0.127.in-addr.arpa', 'SOA'],
      answers: [`40.0.0.127.in-addr.arpa. 0 PTR ${n1}`],
      authority: [SOA],
    },
    {
      ask: ['3.2.1.10.IN-addr.arpa', 'A'],
      answers: ['3.2.1.10.IN-addr.arpa. 0 PTR web.service.dc1.consul.'],
    },
    {
      ask: ['1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa', 'PTR'],
      answers: [
        '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 0 PTR db.service.dc1.consul.',
      ],
    },
    { ask: ['99.0.0.127.in-addr.arpa', 'PTR'], rcode: 'SERVFAIL', flags: 'RD RA' },
    { ask: ['0.0.127.in-addr.arpa', 'PTR'], rcode: 'SERVFAIL', flags: 'RD RA' },
    { ask: ['www.example.com', 'A'], rcode: 'SERVFAIL', flags: 'RD' },
    { ask: ['consul.example.com', 'A'], rcode: 'SERVFAIL', flags: 'RD' },
    { ask: ['', 'A'], rcode: 'SERVFAIL', flags: 'RD' },
    { ask: ['consul', 'AXFR', { transport: 'tcp' }], rcode: 'NOTIMP' },
    { ask: ['web.service.consul', 'IXFR', { transport: 'tcp' }], authority: [SOA] },
    {
      ask: ['v1.web.service.consul', 'A', { questionClass: 3 }],
      answers: ['v1.web.service.consul. 5 A 127.0.0.40'],
    },
    {
      ask: ['v1.web.service.consul', 'A', { wantsRecursion: false }],
      flags: 'AA',
      answers: ['v1.web.service.consul. 5 A 127.0.0.40'],
    },
  ];

  for (const backend of ['at once', 'promised'] as const) {
    it.each(cases)(`answers $ask.0 $ask.1 (${backend})`, async (example) => {
      const catalog = exampleCatalog();
      const resolver = resolverOf(backend === 'at once' ? catalog : promised(catalog), EXAMPLE_CONFIG);
      const answer = await ask(resolver, ...example.ask);
      expect(answer.rcode).toBe(example.rcode ?? 'NOERROR');
      expect(answer.flags).toBe(example.flags ?? 'AA RD');
      expect(sorted(answer.answers)).toEqual(sorted(example.answers ?? []));
      expect(answer.authority).toEqual(example.authority ?? []);
      expect(sorted(answer.additional)).toEqual(sorted(example.additional ?? []));
    });
  }

  it('puts the first answer on the wire byte for byte', () => {
    const query = buildQuery('web.service.consul', 'A');
    const head = '1234 8500 0001 0002 0000 0000 03776562 0773657276696365 06636f6e73756c 00 0001 0001 ';
    const orders = [
      'c00c 0001 0001 00000005 0004 7f000028 c00c 0001 0001 00000005 0004 0a010203',
      'c00c 0001 0001 00000005 0004 0a010203 c00c 0001 0001 00000005 0004 7f000028',
    ].map((tail) => (head + tail).replaceAll(' ', ''));
    const seen = new Set<string>();
    const resolver = resolverOf(exampleCatalog(), EXAMPLE_CONFIG);
    for (let i = 0; i < 40; i++) seen.add(hex(resolver.answer(query, 'udp', '127.0.0.1')));
    expect(sorted([...seen])).toEqual(sorted(orders));
  });

  it('keeps the order of a prepared query and tells it who asks', async () => {
    const catalog = exampleCatalog();
    const resolver = resolverOf(catalog, EXAMPLE_CONFIG);
    for (let i = 0; i < 10; i++) {
      const { answers } = await ask(resolver, 'WQ.query.dc1.consul', 'SRV');
      expect(answers.map((answer) => answer.split(' ')[5])).toEqual(['80', '81']);
    }
    await ask(resolver, 'wq.query.consul', 'A', { subnet: '203.0.113.9/24' });
    expect(catalog.askedFor.at(0)).toBe('127.0.0.1');
    expect(catalog.askedFor.at(-1)).toBe('203.0.113.0');
  });
});

const hex = (bytes: unknown): string => (bytes instanceof Uint8Array ? hexOf(bytes) : String(bytes));
