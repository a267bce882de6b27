/** How agents reach each other's RPC port: TCP, unless a simulated network takes its place. */

import { connect, createServer, type Server, type Socket } from 'node:net';

export interface RpcNetwork {
  /** A socket that emits `connect` when it is open, or `error` when it could not be opened. */
  connect(host: string, port: number): Socket;
  /**
   * Accepts connections from then on.
   * @param port 0 lets the system choose
   * Rejects with the system's error when the address can't be bound.
   */
  listen(host: string, port: number, accept: (socket: Socket) => void): Promise<BoundPort>;
}

export interface BoundPort {
  readonly port: number;
  /** Takes no more connections; resolves when all that were taken have ended. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 8192;

export const tcpNetwork: RpcNetwork = {
  connect: (host, port) => connect({ host, port, noDelay: true }),
  listen(host, port, accept) {
    const server = createServer({ noDelay: true, pauseOnConnect: false });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', accept);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        // Accept errors (such as too many open files) must not end the process; the next accept may succeed.
        server.on('error', () => {});
        resolve({
          port: portOf(server, port),
          close: () => new Promise((closed) => server.close(() => closed())),
        });
      });
    });
  },
};

function portOf(server: Server, asked: number): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : asked;
}
