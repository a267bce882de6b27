/** The real gossip transport: UDP and TCP sockets on one port. */

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Clock } from '../../shared/env.ts';
import { hostPort } from './codec/ip-address.ts';
import type { Endpoint, GossipStream, GossipTransport, TransportListener } from './gossip-transport.ts';

/** Room in the kernel for bursts that come while this process is busy; the kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;
/** Finding a port that is free for both UDP and TCP may take a few tries. */
const FREE_PORT_TRIES = 16;
const MAX_CONNECTIONS = 512;

export function createSocketTransport(clock: Clock): GossipTransport {
  return new SocketTransport(clock);
}

/** Invariant: `#udp` and `#server` are both set or both undefined; `#open` holds every socket not yet closed. */
class SocketTransport implements GossipTransport {
  readonly #clock: Clock;
  readonly #open = new Set<Socket>();
  #udp: UdpSocket | undefined;
  #server: Server | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async bind(host: string, port: number, listener: TransportListener): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const server = await this.#listenTcp(host, port, listener);
      const bound = portOf(server);
      try {
        this.#udp = await this.#listenUdp(host, bound, listener);
        this.#server = server;
        return bound;
      } catch (thrown) {
        await new Promise((resolve) => server.close(resolve));
        if (port !== 0 || attempt >= FREE_PORT_TRIES) throw thrown;
      }
    }
  }

  sendPacket(packet: Uint8Array, to: Endpoint): void {
    // A datagram that cannot be sent is a datagram lost, which the protocol is built for.
    this.#udp?.send(packet, to.port, to.host, () => undefined);
  }

  connect(to: Endpoint, timeoutMs: number): Promise<GossipStream> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: to.host, port: to.port, noDelay: true });
      this.#track(socket);
      const fail = (error: Error) => {
        timer.cancel();
        socket.destroy();
        reject(new Error(`dial tcp ${hostPort(to.host, to.port)}: ${dialText(error)}`, { cause: error }));
      };
      const timer = this.#clock.setTimer(timeoutMs, () => fail(new Error('i/o timeout')));
      socket.once('error', fail);
      socket.once('connect', () => {
        timer.cancel();
        socket.off('error', fail);
        resolve(streamOf(socket, to));
      });
    });
  }

  async resolve(name: string): Promise<readonly string[]> {
    try {
      const found = await lookup(name, { all: true, order: 'verbatim' });
      return found.map((entry) => entry.address);
    } catch (cause) {
      throw new Error(`lookup ${name}: no such host`, { cause });
    }
  }

  async close(): Promise<void> {
    const udp = this.#udp;
    const server = this.#server;
    this.#udp = undefined;
    this.#server = undefined;
    for (const socket of this.#open) socket.destroy();
    if (udp !== undefined) await new Promise<void>((resolve) => udp.close(() => resolve()));
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  #listenTcp(host: string, port: number, listener: TransportListener): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true }, (socket) => {
        this.#track(socket);
        const remote = { host: plainHost(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
        listener.onStream(streamOf(socket, remote));
      });
      server.maxConnections = MAX_CONNECTIONS;
      server.once('error', (error) => reject(bindError('tcp', host, port, error)));
      server.listen({ host, port, exclusive: true }, () => {
        server.removeAllListeners('error');
        server.on('error', (error) => listener.onError(error));
        resolve(server);
      });
    });
  }

  #listenUdp(host: string, port: number, listener: TransportListener): Promise<UdpSocket> {
    return new Promise((resolve, reject) => {
      const type = isIPv6(host) ? 'udp6' : 'udp4';
      const socket = createSocket({
        type,
        recvBufferSize: RECEIVE_BUFFER_BYTES,
        // Addresses are always IPs here: no lookup, no extra turn of the event loop.
        lookup: (address, _options, done) => done(null, address, type === 'udp6' ? 6 : 4),
      });
      socket.once('error', (error) => {
        socket.close();
        reject(bindError('udp', host, port, error));
      });
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        socket.on('error', (error) => listener.onError(error));
        socket.on('message', (packet, from) =>
          listener.onPacket(packet, { host: plainHost(from.address), port: from.port }),
        );
        resolve(socket);
      });
    });
  }

  #track(socket: Socket): void {
    this.#open.add(socket);
    // Without a listener an error would end the process; the stream's own listeners report it where it matters.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#open.delete(socket));
  }
}

function streamOf(socket: Socket, remote: Endpoint): GossipStream {
  return {
    remote,
    listen(onBytes, onClose) {
      let error: Error | undefined;
      socket.on('data', onBytes);
      socket.on('error', (thrown) => {
        error = thrown;
      });
      socket.once('close', () => onClose(error));
    },
    write: (bytes) => {
      socket.write(bytes);
    },
    end: () => {
      socket.end();
    },
    destroy: () => {
      socket.destroy();
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An IPv4 peer of a socket bound to `::` shows as v4-in-v6. */
function plainHost(host: string): string {
  return host.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host;
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function dialText(error: Error): string {
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'connect: connection refused';
    case 'EHOSTUNREACH':
      return 'connect: no route to host';
    case 'ENETUNREACH':
      return 'connect: network is unreachable';
    case 'ETIMEDOUT':
      return 'i/o timeout';
    default:
      return error.message;
  }
}

function bindError(network: 'tcp' | 'udp', host: string, port: number, cause: Error): Error {
  const code = codeOf(cause);
  const reason = code === undefined ? cause.message : (BIND_TEXT[code] ?? cause.message);
  const text = `listen ${network} ${hostPort(host, port)}: bind: ${reason}`;
  const listener = `Failed to start ${network.toUpperCase()} listener on "${host}" port ${port}`;
  return Object.assign(new Error(`${listener}: ${text}`, { cause }), code === undefined ? {} : { code });
}

const BIND_TEXT: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};
