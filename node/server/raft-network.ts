/** Raft's streams over the RPC port. */

import type { Socket } from 'node:net';
import type { Env } from '../../shared/env.ts';
import type { PeerNetwork, PeerStream } from '../raft/types.ts';
import { dial } from '../rpc/dial.ts';

export interface RaftNetwork extends PeerNetwork {
  /** Takes over a connection that another server opened for Raft. */
  accept(socket: Socket): void;
}

export function createRaftNetwork(env: Env): RaftNetwork {
  let acceptStream: ((stream: PeerStream) => void) | undefined;
  return {
    dial: async (peer) => peerStream(await dial(peer.address, 'raft', env)),
    onStream(accept) {
      acceptStream = accept;
    },
    accept(socket) {
      // Raft isn't open yet: the peer dials again.
      if (acceptStream === undefined) socket.destroy();
      else acceptStream(peerStream(socket));
    },
  };
}

/**
 * Raft batches its own writes, one per turn, so they go straight to the socket.
 * Data that comes before somebody listens stays in the paused socket.
 */
function peerStream(socket: Socket): PeerStream {
  let failure: Error | undefined;
  let onClose: ((error?: Error) => void) | undefined;
  let isClosed = false;
  socket.pause();
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => {
    isClosed = true;
    onClose?.(failure);
  });
  return {
    write: (bytes) => (socket.writable ? socket.write(bytes) : false),
    onData(receive) {
      socket.on('data', receive);
      socket.resume();
    },
    onDrain(resume) {
      socket.on('drain', resume);
    },
    onClose(closed) {
      onClose = closed;
      if (isClosed) closed(failure);
    },
    close: () => socket.destroy(),
  };
}
