import dgram from 'node:dgram';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_DNS_CONFIG } from '../../shared/dns/config.ts';
import { createResolver } from '../../shared/dns/resolver.ts';
import { ask, buildQuery, FakeCatalog } from '../../shared/dns/testing.ts';
import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { startDnsServer } from './dns-server.ts';
import { createRecursor } from './recursor.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource.close();
});

/** A UDP server whose answers are made by `reply`; its address. */
async function upstream(reply: (query: Buffer) => Uint8Array[]): Promise<string> {
  const socket = dgram.createSocket('udp4');
  open.push(socket);
  socket.on('message', (query, from) => {
    for (const message of reply(query)) socket.send(message, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
  return `127.0.0.1:${socket.address().port}`;
}

const asReply = (query: Uint8Array) => {
  const reply = Uint8Array.from(query);
  reply[2] = 0x81;
  reply[3] = 0x80;
  return reply;
};
const changed = (bytes: Uint8Array, at: number, value: number) => {
  const copy = Uint8Array.from(bytes);
  copy[at] = value;
  return copy;
};

describe('the recursor', () => {
  const query = buildQuery('example.com', 'A');
  const deps = { env: realEnv, log: silentLogger };

  it('takes the reply to its question, in any spelling, and no other', async () => {
    const server = await upstream((asked) => [
      Uint8Array.of(1, 2),
      Uint8Array.from(asked),
      changed(asReply(asked), 1, 0x35),
      changed(asReply(asked), 14, 0x7a),
      changed(asReply(asked), 26, 28),
      changed(asReply(asked), 13, 0x45),
    ]);
    const reply = await createRecursor(deps).exchange(server, query, 'udp', 2000);
    expect(reply[13]).toBe(0x45);
    expect(reply.length).toBe(query.length);
  });

  it('gives up after the timeout', async () => {
    const env = simulatedEnv(1);
    let received = () => {};
    const arrived = new Promise<void>((resolve) => {
      received = resolve;
    });
    const server = await upstream(() => {
      received();
      return [];
    });
    const attempt = createRecursor({ env, log: silentLogger }).exchange(server, query, 'udp', 2000);
    await arrived;
    env.clock.advance(2000);
    await expect(attempt).rejects.toThrow(`read udp ${server}: i/o timeout`);
  });

  it('reports dead servers, bad addresses, closed streams and overload', async () => {
    const recursor = createRecursor({ ...deps, maxConcurrent: 1 });
    await expect(recursor.exchange('127.0.0.1:1', query, 'udp', 2000)).rejects.toThrow('ECONNREFUSED');
    await expect(recursor.exchange('127.0.0.1:1', query, 'tcp', 2000)).rejects.toThrow('ECONNREFUSED');
    await expect(recursor.exchange('dns.example', query, 'udp', 2000)).rejects.toThrow('not an IP address');
    const closing = net.createServer((socket) => socket.end());
    open.push(closing);
    await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', () => resolve()));
    const address = closing.address();
    const server = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const first = recursor.exchange(server, query, 'tcp', 2000);
    await expect(recursor.exchange(server, query, 'tcp', 2000)).rejects.toThrow('under way already');
    await expect(first).rejects.toThrow('closed the connection without a reply');
  });

  it('brings answers of another server over UDP and TCP, after one that is dead', async () => {
    const other = createResolver(
      { ...DEFAULT_DNS_CONFIG, domain: 'other.' },
      new FakeCatalog().addNode({ name: 'x', address: '192.0.2.9', meta: { a: 'b' } }),
      deps,
    );
    const server = await startDnsServer({ addresses: ['127.0.0.1'], port: 0, resolver: other, ...deps });
    open.push(server);
    const resolver = createResolver(
      { ...DEFAULT_DNS_CONFIG, recursors: ['127.0.0.1:1', `127.0.0.1:${server.addresses[0]?.port}`] },
      new FakeCatalog().addNode({ name: 'h', address: 'x.node.other' }),
      { ...deps, recursor: createRecursor(deps) },
    );
    for (const transport of ['udp', 'tcp'] as const) {
      const answer = await ask(resolver, 'x.node.other', 'A', { transport });
      expect([answer.answers, answer.additional]).toEqual([
        ['x.node.other. 0 A 192.0.2.9'],
        ['x.node.other. 0 TXT "a=b"'],
      ]);
    }
    const chained = await ask(resolver, 'h.node.consul', 'A');
    expect(chained.answers).toEqual(['h.node.consul. 0 CNAME x.node.other.', 'x.node.other. 0 A 192.0.2.9']);
  });
});
