import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { realEnv } from '../../../shared/env.ts';
import { silentLogger } from '../../../shared/log.ts';
import { Metrics } from '../../../shared/metrics.ts';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import type { TelemetrySettings } from '../../config/config.ts';
import { type Collector, tcpSender, udpSender } from './senders.ts';
import { startTelemetrySinks } from './sinks.ts';
import { MAX_PACKET_BYTES, StatsdLines } from './statsd-lines.ts';

const SETTINGS: TelemetrySettings = {
  prefix: 'consul',
  disableHostname: false,
  filterDefault: true,
  prefixFilter: [],
  prometheusRetentionMs: 0,
  statsd: undefined,
  statsite: undefined,
  dogstatsd: undefined,
  dogstatsdTags: [],
};

/** Sends nothing, keeps everything: `kind host packet`. */
function recorder() {
  const sent: string[] = [];
  const sender = (kind: string) => (collector: Collector) => ({
    send: (packet: string) => void sent.push(`${kind} ${collector.host} ${packet}`),
    close: () => void sent.push(`${kind} closed`),
  });
  return { sent, transports: { udp: sender('udp'), tcp: sender('tcp') } };
}

test('numbers go out a moment after the first of them, each dialect in its own words', () => {
  const { clock } = simulatedEnv(1);
  const { sent, transports } = recorder();
  const metrics = new Metrics({ hostname: 'h1' });
  const settings = {
    ...SETTINGS,
    statsd: { host: 's', port: 8125 },
    statsite: { host: 't', port: 8125 },
    dogstatsd: { host: 'd', port: 8125 },
    dogstatsdTags: ['env:prod', 'a b'],
  };
  const stop = startTelemetrySinks(settings, metrics, clock, silentLogger, transports);
  metrics.counter('raft.apply').add();
  metrics.counter('raft.apply').add(2);
  metrics.counter('client.api.catalog_nodes', { node: 'n1' }).add();
  metrics.gauge('raft.applied_index').set(6);
  metrics.gauge('raft.applied_index').set(7);
  metrics.sample('http.GET.v1.kv._').add(0.25);
  metrics.sample('http.GET.v1.kv._').add(1.5);
  clock.advance(99);
  expect(sent).toEqual([]);
  clock.advance(1);
  const plain =
    'consul.raft.apply:3.000000|c\nconsul.client.api.catalog_nodes.n1:1.000000|c\n' +
    'consul.h1.raft.applied_index:7.000000|g\n' +
    'consul.http.GET.v1.kv._:0.250000|ms\nconsul.http.GET.v1.kv._:1.500000|ms\n';
  const dog =
    'consul.raft.apply:3|c|#env:prod,a_b\nconsul.client.api.catalog_nodes:1|c|#env:prod,a_b,node:n1\n' +
    'consul.raft.applied_index:7.000000|g|#env:prod,a_b\n' +
    'consul.http.GET.v1.kv._:0.250000|ms|#env:prod,a_b\nconsul.http.GET.v1.kv._:1.500000|ms|#env:prod,a_b\n';
  expect(sent.splice(0)).toEqual([`udp s ${plain}`, `tcp t ${plain}`, `udp d ${dog}`]);
  clock.advance(1000);
  expect(sent).toEqual([]);
  metrics.counter('last').add();
  stop();
  expect(sent.filter((each) => each.includes('consul.last:'))).toHaveLength(3);
  expect(sent.filter((each) => each.endsWith('closed'))).toHaveLength(3);
});

test('without a collector nothing is collected', () => {
  const { sent, transports } = recorder();
  const { clock } = simulatedEnv(1);
  const metrics = new Metrics();
  startTelemetrySinks(SETTINGS, metrics, clock, silentLogger, transports)();
  metrics.counter('a').add();
  clock.advance(1000);
  expect(sent).toEqual([]);
});

test('packets hold whole lines and fit the network', () => {
  const lines = new StatsdLines({}, () => undefined);
  const metric = (name: string) => ({ name, plainName: name, labels: {} });
  for (let i = 0; i < 200; i++) lines.counter(metric(`consul.name with:odd|signs.${'é'.repeat(10)}${i}`), 1);
  const packets = lines.take();
  expect(packets.length).toBeGreaterThan(5);
  for (const packet of packets) {
    expect(Buffer.byteLength(packet)).toBeLessThanOrEqual(MAX_PACKET_BYTES);
    expect(packet).toMatch(/^(?:consul\.name_with_odd_signs\.é{10}\d+:1\.000000\|c\n)+$/);
  }
  expect(packets.join('').split('\n')).toHaveLength(201);
  expect(lines.take()).toEqual([]);
});

test('what one flush holds is bounded', () => {
  const lines = new StatsdLines({}, () => undefined);
  const metric = { name: 'a', plainName: 'a', labels: {} };
  for (let i = 0; i < 10_000; i++) lines.sample(metric, 1);
  expect(lines.take().join('').split('\n')).toHaveLength(8193);
});

test('packets arrive over UDP', async () => {
  const server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const sender = udpSender({ host: '127.0.0.1', port: server.address().port }, realEnv.clock, silentLogger);
  const arrived = once(server, 'message');
  // The first ones may come before the socket is ready: they are lost, as packets may be.
  const again = setInterval(() => sender.send('a:1|c\n'), 5);
  expect(String((await arrived)[0])).toBe('a:1|c\n');
  clearInterval(again);
  sender.close();
  sender.send('nobody hears this');
  server.close();
});

test('packets arrive over TCP, and again after the collector was away', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { clock } = simulatedEnv(1);
  const sender = tcpSender({ host: '127.0.0.1', port: address.port }, clock, silentLogger);
  const again = setInterval(() => {
    clock.advance(1000);
    sender.send('a:1|c\n');
  }, 5);
  for (let round = 0; round < 2; round++) {
    const [socket] = await once(server, 'connection');
    expect(String((await once(socket, 'data'))[0])).toContain('a:1|c\n');
    socket.destroy();
  }
  clearInterval(again);
  sender.close();
  server.close();
});
