import { execFile } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_DNS_CONFIG } from '../../shared/dns/config.ts';
import type { DnsLookups } from '../../shared/dns/lookups.ts';
import { createResolver, type DnsResolver } from '../../shared/dns/resolver.ts';
import { buildQuery, FakeCatalog, plainAnswer, promised } from '../../shared/dns/testing.ts';
import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { SeededRandom, simulatedEnv } from '../../shared/simulated-env.ts';
import { type DnsServer, type DnsServerOptions, startDnsServer } from './dns-server.ts';
import { FrameReader, framePrefix } from './tcp-frames.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource.close();
});

function catalog(): FakeCatalog {
  const nodes = new FakeCatalog().addNode({ name: 'n1', address: '10.0.0.1' });
  for (let i = 0; i < 40; i++)
    nodes.addInstance({ node: 'n1', service: 'web', id: `${i}`, address: `10.1.0.${i}`, port: 80 });
  return nodes;
}

function resolverOf(lookups: DnsLookups = catalog()): DnsResolver {
  return createResolver(DEFAULT_DNS_CONFIG, lookups, { env: realEnv, log: silentLogger });
}

async function start(options: Partial<DnsServerOptions> = {}): Promise<DnsServer & { port: number }> {
  const server = await startDnsServer({
    addresses: ['127.0.0.1'],
    port: 0,
    resolver: resolverOf(),
    env: realEnv,
    log: silentLogger,
    ...options,
  });
  open.push(server);
  return { ...server, port: server.addresses[0]?.port ?? 0 };
}

function askUdp(port: number, ...queries: Uint8Array[]): Promise<Uint8Array[]> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    const replies: Uint8Array[] = [];
    socket.on('message', (reply) => {
      replies.push(reply);
      if (replies.length < queries.length) return;
      socket.close();
      resolve(replies);
    });
    for (const query of queries) socket.send(query, port, '127.0.0.1');
  });
}

interface TcpClient {
  readonly socket: net.Socket;
  /** The next message; undefined when the server closed. */
  next(): Promise<Uint8Array | undefined>;
  send(...queries: Uint8Array[]): void;
}

async function connect(port: number): Promise<TcpClient> {
  const socket = net.connect(port, '127.0.0.1');
  open.push({ close: () => socket.destroy() });
  const frames = new FrameReader();
  let wake = () => {};
  socket.on('data', (chunk: Buffer) => {
    frames.push(chunk);
    wake();
  });
  socket.on('error', () => wake());
  socket.on('close', () => wake());
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return {
    socket,
    async next() {
      for (;;) {
        const frame = frames.next();
        if (frame !== undefined) return frame;
        if (socket.closed || socket.destroyed) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    send: (...queries) =>
      void socket.write(Buffer.concat(queries.flatMap((query) => [framePrefix(query.length), query]))),
  };
}

const withId = (query: Uint8Array, id: number) => {
  const copy = query.slice();
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
};

describe('the DNS server', () => {
  it('answers over UDP and TCP on one port of every address', async () => {
    const server = await start({ addresses: ['127.0.0.1', '127.0.0.2'] });
    expect(server.addresses.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.2']);
    const query = buildQuery('web.service.consul', 'A');
    const [udp] = await askUdp(server.port, query);
    expect(plainAnswer(udp ?? new Uint8Array(0)).answers.length).toBe(3);
    const client = await connect(server.port);
    client.send(query);
    expect(plainAnswer((await client.next()) ?? new Uint8Array(0)).answers.length).toBe(40);
  });

  it('answers from promises as well', async () => {
    const server = await start({ resolver: resolverOf(promised(catalog())) });
    const query = buildQuery('web.service.consul', 'A');
    const ids = Array.from({ length: 50 }, (_, i) => i);
    const replies = await askUdp(server.port, ...ids.map((id) => withId(query, id)));
    expect(replies.map((reply) => reply[1]).sort((a = 0, b = 0) => a - b)).toEqual(ids);
    const client = await connect(server.port);
    client.send(query);
    expect((await client.next())?.length).toBeGreaterThan(600);
  });

  it('takes many queries over one connection, more than may wait at once, and bytes one by one', async () => {
    const server = await start({ resolver: resolverOf(promised(catalog())), limits: { maxPipelined: 4 } });
    const client = await connect(server.port);
    const query = buildQuery('web.service.consul', 'SRV');
    client.send(...Array.from({ length: 500 }, (_, i) => withId(query, i)));
    const seen = new Set<number>();
    for (let i = 0; i < 500; i++) {
      const reply = (await client.next()) ?? new Uint8Array(2);
      seen.add(((reply[0] ?? 0) << 8) | (reply[1] ?? 0));
    }
    expect(seen.size).toBe(500);
    for (const byte of [...framePrefix(query.length), ...query]) client.socket.write(Uint8Array.of(byte));
    expect((await client.next())?.length).toBeGreaterThan(600);
  });

  it('answers what was asked before the client closed its side', async () => {
    const server = await start({ resolver: resolverOf(promised(catalog())) });
    const client = await connect(server.port);
    client.send(buildQuery('web.service.consul', 'A'), buildQuery('n1.node.consul', 'A'));
    client.socket.end();
    expect((await client.next())?.length).toBeGreaterThan(100);
    expect((await client.next())?.length).toBeGreaterThan(40);
    expect(await client.next()).toBeUndefined();
  });

  it('stays up under garbage', async () => {
    const server = await start();
    const random = new SeededRandom(4);
    const noise = dgram.createSocket('udp4');
    open.push(noise);
    for (let i = 0; i < 500; i++)
      await new Promise<void>((resolve) =>
        noise.send(random.bytes(random.nextUint32() % 600), server.port, '127.0.0.1', () => resolve()),
      );
    const client = await connect(server.port);
    client.socket.write(random.bytes(100_000));
    client.socket.write(framePrefix(0));
    const [reply] = await askUdp(server.port, buildQuery('n1.node.consul', 'A'));
    expect(plainAnswer(reply ?? new Uint8Array(0)).answers).toEqual(['n1.node.consul. 0 A 10.0.0.1']);
    const other = await connect(server.port);
    other.send(buildQuery('n1.node.consul', 'A'));
    expect((await other.next())?.length).toBeGreaterThan(40);
  });

  it('closes connections that ask nothing for long, and those above the limit', async () => {
    const env = simulatedEnv(1);
    const server = await start({ env, limits: { idleTimeoutMs: 5000, maxConnections: 2 } });
    const idle = await connect(server.port);
    const busy = await connect(server.port);
    const refused = await connect(server.port);
    expect(await refused.next()).toBeUndefined();
    idle.send(buildQuery('n1.node.consul', 'A'));
    busy.send(buildQuery('n1.node.consul', 'A'));
    await Promise.all([idle.next(), busy.next()]);
    env.clock.advance(3000);
    busy.send(buildQuery('n1.node.consul', 'A'));
    await busy.next();
    env.clock.advance(3000);
    expect(await idle.next()).toBeUndefined();
    busy.send(buildQuery('n1.node.consul', 'A'));
    expect((await busy.next())?.length).toBeGreaterThan(40);
    env.clock.advance(6000);
    expect(await busy.next()).toBeUndefined();
  });

  it('drops UDP queries while too many wait', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const base = catalog();
    let asked = 0;
    const slow: DnsLookups = {
      ...promised(base),
      node: async (name, datacenter) => {
        asked++;
        await held;
        return base.node(name, datacenter);
      },
    };
    const server = await start({ resolver: resolverOf(slow), limits: { maxPending: 2 } });
    const query = buildQuery('n1.node.consul', 'A');
    const first = askUdp(server.port, query);
    const second = askUdp(server.port, query);
    while (asked < 2) await new Promise((resolve) => setImmediate(resolve));
    const socket = dgram.createSocket('udp4');
    open.push(socket);
    await new Promise<void>((resolve) => socket.send(query, server.port, '127.0.0.1', () => resolve()));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toBe(2);
    release();
    expect([(await first).length, (await second).length]).toEqual([1, 1]);
    expect((await askUdp(server.port, query)).length).toBe(1);
  });

  it('names what it cannot bind, and then holds nothing', async () => {
    const server = await start();
    await expect(start({ port: server.port })).rejects.toThrow(
      `Failed to start DNS server: listen udp 127.0.0.1:${server.port}: bind: address already in use`,
    );
    await expect(start({ addresses: ['192.0.2.1'] })).rejects.toThrow(
      'listen udp 192.0.2.1:0: bind: cannot assign requested address',
    );
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', () => resolve()));
    open.push(taken);
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(start({ port })).rejects.toThrow(
      `listen tcp 127.0.0.1:${port}: bind: address already in use`,
    );
    const udp = dgram.createSocket('udp4');
    open.push(udp);
    await new Promise<void>((resolve) =>
      udp.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve()),
    );
    expect(udp.address().port).toBe(port);
  });

  it('closes with its connections', async () => {
    const server = await start();
    const client = await connect(server.port);
    await server.close();
    expect(await client.next()).toBeUndefined();
    const again = await start({ port: server.port });
    expect(again.port).toBe(server.port);
  });
});

describe('dig', async () => {
  const run = promisify(execFile);
  const hasDig = await run('dig', ['-v']).then(
    () => true,
    () => false,
  );

  it.skipIf(!hasDig)('understands the answers (skipped without dnsutils)', async () => {
    const server = await start();
    const dig = async (...args: string[]) =>
      (await run('dig', ['@127.0.0.1', '-p', String(server.port), '+time=2', '+tries=1', ...args])).stdout;
    expect(await dig('n1.node.consul', '+short')).toBe('10.0.0.1\n');
    expect((await dig('web.service.consul', '+tcp', '+short')).trim().split('\n').length).toBe(40);
    const srv = await dig('web.service.consul', 'SRV', '+noedns');
    expect(srv).toContain('ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 3');
    expect(srv).not.toMatch(/WARNING.*malformed|Messages has/);
    const absent = await dig('nope.service.consul');
    expect(absent).toContain('status: NXDOMAIN');
    expect(absent).toContain('hostmaster.consul.');
    expect(await dig('n1.node.consul', '+subnet=203.0.113.0/24')).toContain(
      'CLIENT-SUBNET: 203.0.113.0/24/0',
    );
  });
});
