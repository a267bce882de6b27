/** Raft's streams over the RPC port. */

import type { Socket } from 'node:net';
import type { Env } from '../../shared/env.ts';
import type { PeerNetwork, PeerStream, RaftPeer } from '../raft/types.ts';
import { dial } from '../rpc/dial.ts';
import type { RpcNetwork } from '../rpc/network.ts';

export interface RaftNetwork extends PeerNetwork {
  /** Takes over a connection that another server opened for Raft. */
  accept(socket: Socket): void;
}

/**
 * @param addressOf where gossip shows the server with this id alive, `host:port`. It goes before the address that the
 *                  log gives: after a restart of all servers at new addresses, nothing else tells where they are
 * @param network   TCP unless given
 */
export function createRaftNetwork(
  env: Env,
  addressOf: (id: string) => string | undefined,
  network?: RpcNetwork,
): RaftNetwork {
  let acceptStream: ((stream: PeerStream) => void) | undefined;
  const connect = async (peer: RaftPeer) => {
    const live = addressOf(peer.id);
    if (live === undefined || live === peer.address) return dial(peer.address, 'raft', env, network);
    try {
      return await dial(live, 'raft', env, network);
    } catch {
      // Gossip may be behind; the error of the address that the caller knows is the one to tell.
      return dial(peer.address, 'raft', env, network);
    }
  };
  return {
    dial: async (peer) => peerStream(await connect(peer)),
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
