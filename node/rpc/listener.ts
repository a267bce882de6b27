/** The one TCP listener of a server: reads who is calling (RPC or Raft) and hands the connection on. */

import type { Socket } from 'node:net';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { PREFACE, STREAM_KIND } from './frame.ts';
import { type BoundPort, type RpcNetwork, tcpNetwork } from './network.ts';
import { type RpcService, ServerConnection } from './server-connection.ts';

export interface RpcListenerOptions {
  readonly bindAddress: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly env: Env;
  readonly log: Logger;
  readonly service: RpcService;
  /**
   * Takes over a Raft connection: paused, without listeners of its own but for errors. What was already read behind
   * the preface has been put back.
   */
  readonly onRaftStream: (socket: Socket) => void;
  /** As `onRaftStream`, for a snapshot that is saved or restored. */
  readonly onSnapshotStream?: (socket: Socket) => void;
  /** Per source address; default 100 (limits.rpc_max_conns_per_client). */
  readonly maxConnectionsPerClient?: number;
  /** Default 5000 (limits.rpc_handshake_timeout). */
  readonly handshakeTimeoutMs?: number;
  /** TCP unless given. */
  readonly network?: RpcNetwork | undefined;
}

export interface RpcListener {
  /** Rejects with the system's error when the address can't be bound. */
  start(): Promise<void>;
  /** Closes the listener and every connection. Idempotent. */
  stop(): Promise<void>;
  /** The bound port; valid after `start`. */
  port(): number;
}

const PREFACE_BYTES = PREFACE.length + 1;

export function createRpcListener(options: RpcListenerOptions): RpcListener {
  const { env, log, service } = options;
  const handshakeTimeoutMs = options.handshakeTimeoutMs ?? 5000;
  const connections = new ConnectionLimit(options.maxConnectionsPerClient ?? 100);
  const sockets = new Set<Socket>();
  let bound: BoundPort | undefined;

  function accept(socket: Socket): void {
    const source = socket.remoteAddress ?? '';
    socket.on('error', () => socket.destroy());
    if (!connections.enter(source)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      connections.leave(source);
    });
    readPreface(socket);
  }

  function readPreface(socket: Socket): void {
    const timer = env.clock.setTimer(handshakeTimeoutMs, () => socket.destroy());
    socket.on('close', () => timer.cancel());
    let held: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const compared = Math.min(held.length, PREFACE.length);
      if (held.compare(PREFACE, 0, compared, 0, compared) !== 0) {
        log.debug('unrecognized RPC byte', { byte: held[0], from: socket.remoteAddress });
        socket.destroy();
        return;
      }
      if (held.length < PREFACE_BYTES) return;
      timer.cancel();
      socket.off('data', onData);
      dispatch(socket, held[PREFACE.length], held.subarray(PREFACE_BYTES));
    };
    socket.on('data', onData);
  }

  function dispatch(socket: Socket, kind: number | undefined, rest: Buffer): void {
    switch (kind) {
      case STREAM_KIND.rpc: {
        const connection = new ServerConnection(socket, service, env, () => {});
        if (rest.length > 0) connection.receive(rest);
        return;
      }
      case STREAM_KIND.raft:
        socket.pause();
        if (rest.length > 0) socket.unshift(rest);
        options.onRaftStream(socket);
        return;
      case STREAM_KIND.snapshot:
        if (options.onSnapshotStream === undefined) {
          socket.destroy();
          return;
        }
        socket.pause();
        if (rest.length > 0) socket.unshift(rest);
        options.onSnapshotStream(socket);
        return;
      default:
        socket.destroy();
    }
  }

  return {
    async start() {
      bound = await (options.network ?? tcpNetwork).listen(options.bindAddress, options.port, accept);
    },
    async stop() {
      const closed = bound?.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    port: () => bound?.port ?? options.port,
  };
}

/** Invariant: `#open` has, per source address, how many connections are open, and no zero counts. */
class ConnectionLimit {
  readonly #limit: number;
  readonly #open = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  enter(source: string): boolean {
    const count = this.#open.get(source) ?? 0;
    if (count >= this.#limit) return false;
    this.#open.set(source, count + 1);
    return true;
  }

  leave(source: string): void {
    const count = this.#open.get(source) ?? 0;
    if (count > 1) this.#open.set(source, count - 1);
    else this.#open.delete(source);
  }
}
