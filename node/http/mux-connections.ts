/** The agent's multiplexed connections: which upgrades are taken, and their end with the server's. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../shared/log.ts';
import { MUX_PATH, MUX_PROTOCOL } from '../../shared/mux/frames.ts';
import type { Incoming, Outgoing } from './message.ts';
import { MuxConnection } from './mux-connection.ts';

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${MUX_PROTOCOL}\r\n\r\n`;

export interface MuxConnections {
  /** Takes over a connection whose upgrade was accepted. */
  open(socket: Duplex, firstBytes: Buffer): void;
  /** No new requests; resolves when the last connection is gone. */
  leave(): Promise<void>;
  destroyAll(): void;
}

/** Other upgrades are ignored, as Go ignores them: the request is answered as if it had not asked. */
export function asksForMux(incoming: IncomingMessage): boolean {
  return (
    incoming.method === 'GET' &&
    incoming.url === MUX_PATH &&
    incoming.headers.upgrade?.trim() === MUX_PROTOCOL
  );
}

export function createMuxConnections(
  dispatch: (incoming: Incoming, response: Outgoing) => void,
  log: Logger,
): MuxConnections {
  const open = new Set<MuxConnection>();
  let isLeaving = false;
  let emptied: () => void = () => undefined;
  return {
    open(socket, firstBytes) {
      if (isLeaving) {
        socket.destroy();
        return;
      }
      socket.write(SWITCHING);
      const connection: MuxConnection = new MuxConnection(
        {
          socket,
          dispatch,
          onClose: () => {
            open.delete(connection);
            if (open.size === 0) emptied();
          },
          onBroken: (error) => log.warn('multiplexed connection broken off', { error: error.message }),
        },
        firstBytes,
      );
      open.add(connection);
    },
    leave() {
      isLeaving = true;
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      if (open.size === 0) emptied();
      for (const connection of open) connection.leave();
      return empty;
    },
    destroyAll() {
      for (const connection of [...open]) connection.destroy();
    },
  };
}
