/** A gossip transport that counts what goes through it, under memberlist's names. */

import type { Metrics } from '../../shared/metrics.ts';
import type { GossipStream, GossipTransport } from '../gossip/gossip-transport.ts';

/** Packets and what is written to streams count by their bytes, connections by one each. */
export function countingTransport(inner: GossipTransport, metrics: Metrics): GossipTransport {
  const counter = (name: string) => metrics.counter(`memberlist.${name}`);
  const [udpSent, udpReceived] = [counter('udp.sent'), counter('udp.received')];
  const [accepted, connected, tcpSent] = [counter('tcp.accept'), counter('tcp.connect'), counter('tcp.sent')];
  const counted = (stream: GossipStream): GossipStream => ({
    ...stream,
    write(bytes) {
      tcpSent.add(bytes.length);
      stream.write(bytes);
    },
  });
  return {
    bind: (host, port, listener) =>
      inner.bind(host, port, {
        onPacket(packet, from) {
          udpReceived.add(packet.length);
          listener.onPacket(packet, from);
        },
        onStream(stream) {
          accepted.add();
          listener.onStream(counted(stream));
        },
        onError: (error) => listener.onError(error),
      }),
    sendPacket(packet, to) {
      udpSent.add(packet.length);
      inner.sendPacket(packet, to);
    },
    async connect(to, timeoutMs) {
      connected.add();
      return counted(await inner.connect(to, timeoutMs));
    },
    resolve: (name) => inner.resolve(name),
    close: () => inner.close(),
  };
}
