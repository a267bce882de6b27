import { describe, expect, it } from 'vitest';
import { silentLogger } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { DEFAULT_DNS_CONFIG, type DnsConfig } from './config.ts';
import { createResolver, type DnsResolver } from './resolver.ts';
import { type AskOptions, ask, FakeCatalog } from './testing.ts';

/** `count` instances with addresses of their own on one node with one pair of meta. */
function resolverWith(count: number, config: Partial<DnsConfig> = {}, service = 'ds-abcdef'): DnsResolver {
  const catalog = new FakeCatalog().addNode({ name: 'n', address: '10.10.7.250', meta: { rack: 'r' } });
  for (let i = 0; i < count; i++)
    catalog.addInstance({
      node: 'n',
      service,
      id: `m${i}`,
      port: 9000,
      address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    });
  return createResolver({ ...DEFAULT_DNS_CONFIG, ...config }, catalog, {
    env: simulatedEnv(7),
    log: silentLogger,
  });
}

const NAME = 'ds-abcdef.service.consul';

async function counts(resolver: DnsResolver, type: string, options: AskOptions = {}) {
  const { answers, additional, flags, bytes } = await ask(resolver, NAME, type, options);
  return {
    answers: answers.length,
    additional: additional.length,
    tc: flags.includes('TC'),
    size: bytes.length,
  };
}

describe('trimming', () => {
  it.each([
    [1, 'A', {}, 1, 0],
    [3, 'A', {}, 3, 0],
    [4, 'A', {}, 3, 0],
    [30, 'A', {}, 3, 0],
    [30, 'A', { udpSize: 512 }, 3, 0],
    [30, 'A', { udpSize: 100 }, 3, 0],
    [30, 'A', { udpSize: 1232 }, 30, 0],
    [30, 'A', { transport: 'tcp' }, 30, 0],
    [30, 'A', { transport: 'https' }, 30, 0],
    [40, 'A', { udpSize: 600 }, 34, 0],
    [3, 'SRV', {}, 3, 6],
    [12, 'SRV', {}, 3, 3],
    [12, 'SRV', { udpSize: 4096 }, 12, 24],
    [40, 'SRV', { udpSize: 1024 }, 16, 16],
    [40, 'SRV', { transport: 'tcp' }, 40, 80],
    [40, 'AAAA', {}, 0, 0],
  ] as [number, string, AskOptions, number, number][])(
    'of %i instances %s %j leaves %i and %i',
    async (total, type, options, answers, additional) => {
      expect(await counts(resolverWith(total), type, options)).toMatchObject({
        answers,
        additional,
        tc: false,
      });
      const truncating = resolverWith(total, { enableTruncate: true });
      expect((await counts(truncating, type, options)).tc).toBe(answers > 0 && answers < total);
    },
  );

  it('drops meta text as soon as anything is cut: ten of twelve in 600 bytes', async () => {
    const catalog = new FakeCatalog();
    for (let i = 1; i <= 12; i++)
      catalog
        .addNode({ name: `n${i}`, address: `10.0.0.${i}`, meta: { rack: 'r' } })
        .addInstance({ node: `n${i}`, service: 'web', port: 80 });
    const resolver = createResolver(DEFAULT_DNS_CONFIG, catalog, { env: simulatedEnv(7), log: silentLogger });
    const cut = await ask(resolver, 'web.service.consul', 'SRV', { udpSize: 600 });
    expect([cut.answers.length, cut.additional.length]).toEqual([10, 10]);
    const targets = cut.answers.map((answer) => `${answer.split(' ').at(-1)} 0 A`);
    expect(cut.additional.map((record) => record.replace(/ [\d.]+$/, ''))).toEqual(targets);
    const whole = await ask(resolver, 'web.service.consul', 'SRV', { udpSize: 4096 });
    expect([whole.answers.length, whole.additional.length]).toEqual([12, 24]);
  });

  it('computes without compression what it cut to the cap', async () => {
    const resolver = resolverWith(12, { enableTruncate: true, udpAnswerLimit: 5 });
    expect(await counts(resolver, 'A')).toMatchObject({ answers: 5, tc: true });
    const srv = await counts(resolver, 'SRV');
    expect(srv).toMatchObject({ answers: 4, additional: 4, tc: true });
    expect(srv.size).toBeLessThan(400);
  });

  it('never caps above eight, and with a cap of nothing says that there is nothing', async () => {
    expect((await counts(resolverWith(12, { udpAnswerLimit: 50 }), 'A')).answers).toBe(8);
    const none = await ask(resolverWith(12, { udpAnswerLimit: 0 }), NAME, 'A');
    expect([none.rcode, none.answers.length, none.authority.length]).toEqual(['NOERROR', 0, 1]);
  });

  it('keeps every stream answer below 64 KiB and as full as it can be', async () => {
    const a = await counts(resolverWith(6000, { enableTruncate: true }), 'A', { transport: 'tcp' });
    expect(a).toMatchObject({ tc: true });
    expect(a.answers).toBeGreaterThan(4000);
    expect(a.size).toBeLessThanOrEqual(65535);
    const srv = await counts(resolverWith(6000), 'SRV', { transport: 'https', subnet: '2001:db8::/128' });
    expect(srv.answers).toBe(srv.additional);
    expect(srv.answers).toBeGreaterThan(900);
    expect(srv.size).toBeGreaterThan(65_400);
    expect(srv.size).toBeLessThanOrEqual(65535);
  });

  it('fills a datagram to the last answer that fits', async () => {
    const resolver = resolverWith(500);
    for (const udpSize of [513, 700, 1232, 1400, 4096, 9000]) {
      const { answers, size } = await counts(resolver, 'A', { udpSize });
      expect(size - 11).toBeLessThanOrEqual(udpSize - 7);
      if (answers < 500) expect(size - 11 + 16).toBeGreaterThan(udpSize - 7);
      const srv = await counts(resolver, 'SRV', { udpSize });
      expect(srv.size - 11).toBeLessThanOrEqual(udpSize - 7);
      expect(srv.size - 11 + 60).toBeGreaterThan(udpSize - 7);
    }
  });

  it('writes names in full when compression is off', async () => {
    const on = await counts(resolverWith(3), 'SRV');
    const off = await counts(resolverWith(3, { disableCompression: true }), 'SRV');
    expect(off.answers).toBe(3);
    expect(off.size).toBeGreaterThan(on.size + 3 * (NAME.length + 2 - 2));
  });

  it('trims duplicates before it counts', async () => {
    const catalog = new FakeCatalog().addNode({ name: 'n', address: '10.0.0.1' });
    for (let i = 0; i < 20; i++) catalog.addInstance({ node: 'n', service: 'web', id: `${i}`, port: i % 3 });
    const resolver = createResolver({ ...DEFAULT_DNS_CONFIG, enableTruncate: true }, catalog, {
      env: simulatedEnv(7),
      log: silentLogger,
    });
    const a = await ask(resolver, 'web.service.consul', 'A');
    expect([a.answers.length, a.flags]).toEqual([1, 'AA RD']);
    const srv = await ask(resolver, 'web.service.consul', 'SRV');
    expect([srv.answers.length, srv.flags]).toEqual([3, 'AA RD']);
  });
});
