import { describe, expect, it } from 'vitest';
import { silentLogger } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { hexOf } from './addresses.ts';
import { DEFAULT_DNS_CONFIG, type DnsConfig } from './config.ts';
import { answerDohRequest } from './doh.ts';
import { decodeMessage } from './message.ts';
import { createResolver, type DnsResolver } from './resolver.ts';
import { buildQuery, FakeCatalog } from './testing.ts';

const ORIGIN = 'https://gateway.example';
const VECTOR = 'AAABAAABAAAAAAAAA3dlYgdzZXJ2aWNlBmNvbnN1bAAAAQAB';
const VECTOR_ANSWER =
  '000085000001000100000000037765620773657276696365' +
  '06636f6e73756c0000010001c00c0001000100000005' +
  '00040a010203';

function resolverWith(config: Partial<DnsConfig> = {}): DnsResolver {
  const catalog = new FakeCatalog()
    .addNode({ name: 'n1', address: '10.0.0.7', meta: { rack: 'r1' } })
    .addInstance({ node: 'n1', service: 'web', port: 80, address: '10.1.2.3' })
    .addInstance({ node: 'n1', service: 'srv', port: 80 });
  for (let i = 0; i < 100; i++)
    catalog.addInstance({ node: 'n1', service: 'many', id: `${i}`, address: `10.2.0.${i}` });
  const nodes = catalog.service({ service: 'web', tag: undefined, kind: 'service', datacenter: 'dc1' });
  catalog.queries.set('q', { service: 'web', datacenter: 'dc1', nodes, ttl: '7s' });
  const ttls = { serviceTtlMs: { '*': 5000 }, enableAdditionalNodeMetaTxt: false };
  return createResolver({ ...DEFAULT_DNS_CONFIG, ...ttls, ...config }, catalog, {
    env: simulatedEnv(1),
    log: silentLogger,
  });
}

const fetchDoh = (path: string, init: RequestInit = {}, resolver = resolverWith()) =>
  answerDohRequest(new Request(ORIGIN + path, init), resolver, '198.51.100.1');
const post = (body: Uint8Array, type = 'application/dns-message', resolver = resolverWith()) =>
  fetchDoh('/dns-query', { method: 'POST', body: body.slice(), headers: { 'Content-Type': type } }, resolver);
const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const base64Url = (bytes: Uint8Array) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');

describe('the binary form', () => {
  it('answers the vector by GET and POST alike', async () => {
    const got = await fetchDoh(`/dns-query?dns=${VECTOR}`, {
      headers: { Accept: 'application/dns-message' },
    });
    expect(got.status).toBe(200);
    expect(Object.fromEntries(got.headers)).toMatchObject({
      'content-type': 'application/dns-message',
      'cache-control': 'max-age=5',
      'content-length': '52',
      vary: 'Accept',
    });
    expect(hexOf(await bodyOf(got))).toBe(VECTOR_ANSWER);
    const posted = await post(Uint8Array.from(atob(`${VECTOR}`), (c) => c.charCodeAt(0)));
    expect(hexOf(await bodyOf(posted))).toBe(VECTOR_ANSWER);
    const padded = await fetchDoh(`/dns-query?dns=${VECTOR}==`);
    expect(padded.status).toBe(200);
  });

  it('answers HEAD without a body', async () => {
    const response = await fetchDoh(`/dns-query?dns=${VECTOR}`, { method: 'HEAD' });
    expect([
      response.status,
      response.headers.get('content-length'),
      (await bodyOf(response)).length,
    ]).toEqual([200, '52', 0]);
  });

  it('gives the bytes of UDP with EDNS, never cut to a datagram', async () => {
    const resolver = resolverWith();
    const query = buildQuery('srv.service.consul', 'SRV', { udpSize: 1232 });
    const udp = await resolver.answer(query, 'udp', '127.0.0.1');
    expect(await bodyOf(await post(query, undefined, resolver))).toEqual(udp && new Uint8Array(udp));
    const many = decodeMessage(
      await bodyOf(await post(buildQuery('many.service.consul', 'A'), undefined, resolver)),
    );
    expect(many.answers.length).toBe(100);
  });

  it.each([
    ['nope.service.consul', 'A', {}, 'max-age=0'],
    ['nope.service.consul', 'A', { soa: { refresh: 1, retry: 1, expire: 1, minTtl: 60 } }, 'max-age=60'],
    ['srv.service.consul', 'AAAA', { soa: { refresh: 1, retry: 1, expire: 1, minTtl: 60 } }, 'max-age=60'],
    ['n1.node.consul', 'AAAA', {}, 'no-store'],
    ['example.com', 'A', {}, 'no-store'],
    ['n1.node.consul', 'A', { nodeTtlMs: 30_000 }, 'max-age=30'],
    ['Q.query.consul', 'A', {}, 'private, max-age=7'],
  ] as [string, string, Partial<DnsConfig>, string][])(
    'of %s %s %j is kept: %s',
    async (name, type, config, cacheControl) => {
      const response = await post(buildQuery(name, type), undefined, resolverWith(config));
      expect([response.status, response.headers.get('cache-control')]).toEqual([200, cacheControl]);
    },
  );

  it('pads when the query was padded', async () => {
    for (const subnet of [undefined, '10.0.0.0/8']) {
      const options = { udpSize: 1232, ...(subnet !== undefined && { subnet }) };
      const plain = buildQuery('web.service.consul', 'A', options);
      const query = new Uint8Array(plain.length + 6);
      query.set(plain);
      query.set([0, 12, 0, 2, 0, 0], plain.length);
      const lengthAt = plain.length - (subnet === undefined ? 2 : 11);
      query[lengthAt + 1] = (query[lengthAt + 1] ?? 0) + 6;
      const body = await bodyOf(await post(query));
      expect(body.length).toBe(468);
      const { edns, answers } = decodeMessage(body);
      expect([edns?.hasPadding, edns?.subnet?.sourceBits, answers.length]).toEqual([true, subnet && 8, 1]);
    }
  });

  it.each([
    ['GET', '/dns-query', 400],
    ['GET', '/dns-query?dns=', 400],
    ['GET', '/dns-query?dns=AA!A', 400],
    ['GET', '/dns-query?dns=AAABAAAB', 400],
    ['GET', `/dns-query?dns=${base64Url(Uint8Array.of(0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0))}`, 400],
    ['GET', '/', 404],
    ['GET', '/dns-query/x', 404],
    ['PUT', '/dns-query', 405],
    ['POST', '/resolve?name=a', 405],
    ['GET', `/dns-query?dns=${'A'.repeat(17_000)}`, 414],
  ])('%s %.40s is %i', async (method, path, status) => {
    const response = await fetchDoh(path, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('allow')).toBe(
      status === 405 ? (path.startsWith('/resolve') ? 'GET, HEAD' : 'GET, HEAD, POST') : null,
    );
  });

  it('refuses bodies that are no query', async () => {
    expect((await post(new Uint8Array(0))).status).toBe(400);
    expect((await post(new Uint8Array(5))).status).toBe(400);
    expect((await post(new Uint8Array(65_536))).status).toBe(413);
    expect((await post(buildQuery('a', 'A'), 'text/plain')).status).toBe(415);
    expect((await post(buildQuery('a', 'A'), 'Application/DNS-Message; x=y')).status).toBe(200);
    const excluded = await fetchDoh(`/dns-query?dns=${VECTOR}`, {
      headers: { Accept: 'text/html, application/dns-message;q=0' },
    });
    expect(excluded.status).toBe(406);
  });

  it('answers unsupported opcodes with a message', async () => {
    const response = await post(buildQuery('web.service.consul', 'A', { opcode: 2 }));
    expect([response.status, decodeMessage(await bodyOf(response)).flags & 0xf]).toEqual([200, 4]);
  });

  it('hides what went wrong inside', async () => {
    const broken: DnsResolver = {
      answer: () => Promise.reject(new Error('secret')),
      dependsOnClient: () => false,
      reconfigure: () => {},
    };
    const response = await fetchDoh('/resolve?name=a', {}, broken);
    expect([response.status, await response.text()]).toEqual([500, '{"error":"internal error"}']);
  });
});

describe('the JSON form', () => {
  const json = { headers: { Accept: 'application/dns-json' } };
  const head = '"TC":false,"RD":true,"RA":false,"AD":false,"CD":false';

  it('has the fields of the reference in their order', async () => {
    const response = await fetchDoh('/dns-query?name=srv.service.consul&type=SRV', json);
    expect(response.headers.get('content-type')).toBe('application/dns-json');
    expect(response.headers.get('cache-control')).toBe('max-age=5');
    expect(await response.text()).toBe(
      `{"Status":0,${head},"Question":[{"name":"srv.service.consul.","type":33}],` +
        '"Answer":[{"name":"srv.service.consul.","type":33,"TTL":5,"data":"1 1 80 n1.node.dc1.consul."}],' +
        '"Additional":[{"name":"n1.node.dc1.consul.","type":1,"TTL":5,"data":"10.0.0.7"}]}',
    );
    const absent = await fetchDoh('/resolve?name=nope.service.consul');
    expect([absent.status, await absent.text()]).toEqual([
      200,
      `{"Status":3,${head},"Question":[{"name":"nope.service.consul.","type":1}],"Authority":[{"name":"consul.",` +
        '"type":6,"TTL":0,"data":"ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0"}]}',
    ]);
  });

  it.each([
    ['type=txt', '"\\"rack=r1\\""'],
    ['type=16', '"\\"rack=r1\\""'],
    ['type=TYPE1', '10.0.0.7'],
    ['', '10.0.0.7'],
    ['type=A&type=TXT', '10.0.0.7'],
    ['random_padding=xxxx&unknown=1', '10.0.0.7'],
  ])('of %s has data %s', async (parameters, data) => {
    const text = await (await fetchDoh(`/resolve?name=n1.node.consul.&${parameters}`)).text();
    expect(text).toContain(data);
  });

  it('understands flags and the client subnet', async () => {
    const path = '/resolve?name=q.query.consul&cd=1&do=true&edns_client_subnet=203.0.113.9/24';
    const answer: unknown = JSON.parse(await (await fetchDoh(path)).text());
    expect(answer).toMatchObject({ Status: 0, CD: true, edns_client_subnet: '203.0.113.0/24' });
  });

  it.each([
    'name=',
    'type=A',
    'name=a..b',
    `name=${'x'.repeat(64)}.consul`,
    'name=a.consul&type=NOPE',
    'name=a.consul&type=0',
    'name=a.consul&type=65536',
    'name=a.consul&cd=maybe',
    'name=a.consul&do=2',
    'name=a.consul&edns_client_subnet=10.0.0.0/33',
    'name=a.consul&edns_client_subnet=x',
  ])('refuses %.40s', async (parameters) => {
    const response = await fetchDoh(`/resolve?${parameters}`);
    expect(response.status).toBe(400);
    expect(JSON.parse(await response.text())).toEqual({ error: expect.stringMatching(/^parameter "/) });
  });

  it.each([
    [`dns=${VECTOR}`, 'application/dns-json', 'application/dns-json'],
    [`dns=${VECTOR}`, '*/*', 'application/dns-message'],
    ['name=web.service.consul', '*/*', 'application/dns-json'],
    ['name=web.service.consul', 'application/json', 'application/json'],
    ['name=web.service.consul', 'application/dns-message', 'application/dns-message'],
    ['name=web.service.consul&ct=application/dns-message', '*/*', 'application/dns-message'],
    ['name=web.service.consul&ct=text/x', '*/*', 'application/dns-json'],
  ])('with %.30s and Accept %s comes as %s', async (parameters, accept, type) => {
    const response = await fetchDoh(`/dns-query?${parameters}`, { headers: { Accept: accept } });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, type]);
  });
});
