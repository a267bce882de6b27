/** The UDP side of the DNS server: one socket, answers sent without a promise when they are there at once. */

import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { DnsResolver } from '../../shared/dns/resolver.ts';
import type { Logger } from '../../shared/log.ts';

export interface UdpLimits {
  /** Queries that wait for a lookup; while there are so many, others are dropped and their clients try again. */
  readonly maxPending: number;
  /** Answers that the kernel has not taken; beyond, answers are dropped. */
  readonly maxUnsent: number;
}

export interface UdpListener {
  readonly port: number;
  close(): Promise<void>;
}

/** Bursts wait here while the event loop is busy; the kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

/** @throws what `dgram` reports when the address cannot be bound */
export async function listenUdp(
  address: string,
  port: number,
  resolver: DnsResolver,
  limits: UdpLimits,
  log: Logger,
): Promise<UdpListener> {
  const family = isIPv6(address) ? 6 : 4;
  const socket = dgram.createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    // Replies go to addresses, never names: answering at once saves a turn of the event loop for each.
    lookup: (hostname, _options, callback) => callback(null, hostname, family),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  // An answer that cannot be sent concerns its client only.
  socket.on('error', (error) => log.debug('DNS answer not sent', { error: error.message }));
  let isClosed = false;
  serveDatagrams(socket, resolver, limits, () => isClosed);
  return {
    port: socket.address().port,
    close: () =>
      new Promise((resolve) => {
        isClosed = true;
        socket.close(() => resolve());
      }),
  };
}

function serveDatagrams(
  socket: dgram.Socket,
  resolver: DnsResolver,
  limits: UdpLimits,
  isClosed: () => boolean,
): void {
  let pending = 0;
  const send = (reply: Uint8Array | undefined, port: number, address: string) => {
    if (reply === undefined || isClosed() || socket.getSendQueueCount() >= limits.maxUnsent) return;
    socket.send(reply, port, address);
  };
  const sendLater = async (reply: Promise<Uint8Array | undefined>, port: number, address: string) => {
    pending++;
    try {
      send(await reply, port, address);
    } finally {
      pending--;
    }
  };
  socket.on('message', (query, from) => {
    // Port 0 cannot be answered; it only comes from forged packets.
    if (pending >= limits.maxPending || from.port === 0) return;
    const reply = resolver.answer(query, 'udp', from.address, from.port);
    if (reply instanceof Promise) void sendLater(reply, from.port, from.address);
    else send(reply, from.port, from.address);
  });
}
