import { expect, test } from 'vitest';
import { Metrics } from '../../shared/metrics.ts';
import type { GossipStream, GossipTransport, TransportListener } from '../gossip/gossip-transport.ts';
import { countingTransport } from './counting-transport.ts';

const HERE = { host: '127.0.0.1', port: 1 };

test('bytes of packets and streams, and connections, are counted and passed on', async () => {
  const seen: string[] = [];
  let listener: TransportListener | undefined;
  const stream: GossipStream = {
    remote: HERE,
    listen: () => undefined,
    write: (bytes) => void seen.push(`written ${bytes.length}`),
    end: () => undefined,
    destroy: () => undefined,
  };
  const inner: GossipTransport = {
    bind: async (_host, _port, given) => {
      listener = given;
      return 7;
    },
    sendPacket: (packet) => void seen.push(`sent ${packet.length}`),
    connect: async () => stream,
    resolve: async () => [],
    close: async () => undefined,
  };
  const metrics = new Metrics();
  const transport = countingTransport(inner, metrics);
  const onStream = (incoming: GossipStream) => incoming.write(new Uint8Array(5));
  const onPacket = (packet: Uint8Array) => void seen.push(`received ${packet.length}`);
  expect(await transport.bind('h', 7, { onPacket, onStream, onError: () => undefined })).toBe(7);
  listener?.onPacket(new Uint8Array(3), HERE);
  listener?.onStream(stream);
  transport.sendPacket(new Uint8Array(4), HERE);
  (await transport.connect(HERE, 1)).write(new Uint8Array(6));
  expect(seen).toEqual(['received 3', 'written 5', 'sent 4', 'written 6']);
  expect(metrics.report().Counters.map(({ Name, Sum }) => [Name, Sum])).toEqual([
    ['consul.memberlist.tcp.accept', 1],
    ['consul.memberlist.tcp.connect', 1],
    ['consul.memberlist.tcp.sent', 11],
    ['consul.memberlist.udp.received', 3],
    ['consul.memberlist.udp.sent', 4],
  ]);
});
