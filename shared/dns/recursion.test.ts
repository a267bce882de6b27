import { describe, expect, it } from 'vitest';
import { silentLogger } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { DEFAULT_DNS_CONFIG, type DnsConfig } from './config.ts';
import { decodeMessage, type ResourceRecord } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import { type Name, nameFromText, presentName } from './name.ts';
import { addressRecord, cnameRecord, txtRecord } from './records.ts';
import type { Recursor } from './recursion.ts';
import { createResolver, type DnsResolver } from './resolver.ts';
import { ask, buildQuery, FakeCatalog } from './testing.ts';

type Upstream = 'dead' | number | ((question: string) => readonly ResourceRecord[]);

/** Upstreams by address: unreachable, a bare response code, or records. Notes what they were asked. */
class FakeRecursor implements Recursor {
  readonly asked: string[] = [];
  readonly #upstreams: Readonly<Record<string, Upstream>>;

  constructor(upstreams: Readonly<Record<string, Upstream>>) {
    this.#upstreams = upstreams;
  }

  async exchange(
    server: string,
    query: Uint8Array,
    transport: string,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const { id, questions } = decodeMessage(query);
    const question = questions[0];
    if (question === undefined) throw new Error('no question');
    const text = presentName(question.name.wire);
    this.asked.push(`${server} ${transport} ${timeoutMs} ${text} ${question.type}`);
    const upstream = this.#upstreams[server];
    if (upstream === undefined || upstream === 'dead') throw new Error('i/o timeout');
    const records = typeof upstream === 'number' ? [] : upstream(text);
    const writer = new MessageWriter();
    const bytes = Uint8Array.from([...question.name.wire, 0, question.type, 0, 1]);
    writer.begin(
      id,
      0x8180 | (typeof upstream === 'number' ? upstream : 0),
      { bytes, name: question.name },
      true,
    );
    writer.setCounts(records.length, 0, 0);
    for (const record of records) writer.record(record);
    return writer.finish();
  }
}

const name = (text: string): Name => {
  const parsed = nameFromText(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const ip = (last: number) => Uint8Array.of(192, 0, 2, last);

function resolverWith(recursor: Recursor, recursors: string[], config: Partial<DnsConfig> = {}): DnsResolver {
  const catalog = new FakeCatalog()
    .addNode({ name: 'n1', address: '10.0.0.1' })
    .addNode({ name: 'h', address: 'www.example.com' })
    .addInstance({ node: 'n1', service: 'ext', port: 443, address: 'www.example.com' });
  return createResolver({ ...DEFAULT_DNS_CONFIG, recursors, recursorTimeoutMs: 1500, ...config }, catalog, {
    env: simulatedEnv(3),
    log: silentLogger,
    recursor,
  });
}

describe('foreign names', () => {
  const good: Upstream = () => [addressRecord(undefined, 60, ip(1))];

  it('are forwarded as they came, over the transport of the client', async () => {
    const recursor = new FakeRecursor({ '192.0.2.53': good });
    const resolver = resolverWith(recursor, ['192.0.2.53']);
    const udp = await ask(resolver, 'example.com', 'A');
    expect(udp.answers).toEqual(['example.com. 60 A 192.0.2.1']);
    expect(udp.flags).toBe('RD RA');
    expect(udp.message.id).toBe(0x1234);
    await ask(resolver, 'example.com', 'A', { transport: 'tcp' });
    await ask(resolver, '9.9.9.9.in-addr.arpa', 'PTR', { transport: 'https' });
    expect(recursor.asked).toEqual([
      '192.0.2.53 udp 1500 example.com. 1',
      '192.0.2.53 tcp 1500 example.com. 1',
      '192.0.2.53 tcp 1500 9.9.9.9.in-addr.arpa. 12',
    ]);
  });

  it('go to the next upstream after a failure, and end with SERVFAIL that claims recursion', async () => {
    const recursor = new FakeRecursor({ a: 'dead', b: 2, c: 5, d: 3 });
    const absent = await ask(resolverWith(recursor, ['a', 'b', 'c', 'd']), 'example.com', 'A');
    expect([absent.rcode, recursor.asked.length]).toEqual(['NXDOMAIN', 4]);
    const failed = await ask(resolverWith(recursor, ['a', 'b', 'c']), 'example.com', 'A', { udpSize: 1232 });
    expect([failed.rcode, failed.flags, failed.message.edns?.udpSize]).toEqual(['SERVFAIL', 'RD RA', 1232]);
  });

  it('are refused without upstreams, also when the runtime could reach some', async () => {
    const recursor = new FakeRecursor({ a: good });
    expect((await ask(resolverWith(recursor, []), 'example.com', 'A')).flags).toBe('RD');
    expect(recursor.asked).toEqual([]);
  });

  it('do not change answers of the zone but for RA', async () => {
    const resolver = resolverWith(new FakeRecursor({ a: good }), ['a']);
    expect((await ask(resolver, 'n1.node.consul', 'A')).flags).toBe('AA RD RA');
    expect((await ask(resolver, '1.0.0.10.in-addr.arpa', 'PTR')).flags).toBe('AA RD RA');
    expect((await ask(resolver, 'nope.service.consul', 'A')).rcode).toBe('NXDOMAIN');
  });
});

describe('host names behind a CNAME', () => {
  const chained: Upstream = (question) => [
    cnameRecord(undefined, 300, name('edge.example.net')),
    ...[1, 2, 3, 4, 5, 6].map((last) => addressRecord(name('edge.example.net'), 60, ip(last))),
    txtRecord(name('edge.example.net'), 60, question),
  ];

  it('are asked as A over UDP; the service decides about TTL, kinds and number', async () => {
    const recursor = new FakeRecursor({ dead: 'dead', up: chained });
    const resolver = resolverWith(recursor, ['dead', 'up'], { serviceTtlMs: { ext: 9000 } });
    const plain = await ask(resolver, 'ext.service.consul', 'AAAA', { transport: 'tcp' });
    expect(plain.answers).toEqual([
      'ext.service.consul. 9 CNAME www.example.com.',
      'www.example.com. 9 CNAME edge.example.net.',
      ...[1, 2, 3, 4].map((last) => `edge.example.net. 9 A 192.0.2.${last}`),
    ]);
    expect(recursor.asked).toEqual(['dead udp 1500 www.example.com. 1', 'up udp 1500 www.example.com. 1']);
    const edns = await ask(resolver, 'ext.service.consul', 'A', { udpSize: 4096 });
    expect(edns.answers.length).toBe(8);
    const capped = await ask(resolver, 'ext.service.consul', 'A');
    expect(capped.answers.length).toBe(3);
    const srv = await ask(resolver, 'ext.service.consul', 'SRV');
    expect(srv.answers).toEqual(['ext.service.consul. 9 SRV 1 1 443 www.example.com.']);
    expect(srv.additional.length).toBe(5);
  });

  it('are used unchanged for nodes', async () => {
    const resolver = resolverWith(new FakeRecursor({ up: chained }), ['up'], { nodeTtlMs: 30_000 });
    const { answers } = await ask(resolver, 'h.node.consul', 'A');
    expect(answers[0]).toBe('h.node.consul. 30 CNAME www.example.com.');
    expect(answers[1]).toBe('www.example.com. 300 CNAME edge.example.net.');
    expect(answers.length).toBe(9);
  });

  it('leave the CNAME alone when nobody knows them', async () => {
    const resolver = resolverWith(new FakeRecursor({ up: 'dead' }), ['up']);
    expect((await ask(resolver, 'ext.service.consul', 'A')).answers).toEqual([
      'ext.service.consul. 0 CNAME www.example.com.',
    ]);
  });

  it('are looked up for a bounded number of instances', async () => {
    const recursor = new FakeRecursor({ up: chained });
    const catalog = new FakeCatalog().addNode({ name: 'n', address: '10.0.0.1' });
    for (let i = 0; i < 100; i++)
      catalog.addInstance({ node: 'n', service: 'many', id: `${i}`, address: `h${i}.example.com`, port: i });
    const resolver = createResolver({ ...DEFAULT_DNS_CONFIG, recursors: ['up'] }, catalog, {
      env: simulatedEnv(3),
      log: silentLogger,
      recursor,
    });
    const { answers } = await ask(resolver, 'many.service.consul', 'SRV', { transport: 'tcp' });
    expect([answers.length, recursor.asked.length]).toEqual([100, 32]);
  });
});

it('survives a recursor that answers garbage', async () => {
  const garbage: Recursor = { exchange: async () => Uint8Array.of(1, 2, 3) };
  const resolver = resolverWith(garbage, ['a', 'b']);
  expect((await ask(resolver, 'example.com', 'A')).rcode).toBe('SERVFAIL');
  expect((await ask(resolver, 'ext.service.consul', 'A')).answers.length).toBe(1);
  expect(buildQuery('example.com', 'A').length).toBe(29);
});
