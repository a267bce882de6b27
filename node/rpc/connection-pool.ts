/** One connection to each peer, opened when needed, closed when idle, with back-off after failed dials. */

import type { Env, Timer } from '../../shared/env.ts';
import type { ConsulError } from '../../shared/errors.ts';
import { ClientConnection } from './client-connection.ts';
import { dial } from './dial.ts';
import type { RpcReply, RpcRequest } from './messages.ts';
import { type RpcNetwork, tcpNetwork } from './network.ts';
import { unreachable } from './rpc-errors.ts';

const BACKOFF_BASE_MS = 50;
const BACKOFF_MAX_MS = 1000;
const IDLE_CLOSE_MS = 300_000;
const SWEEP_INTERVAL_MS = 60_000;
/** Peers beyond that many are forgotten when idle; real clusters have a handful of servers per datacenter. */
const MAX_PEERS = 1024;

interface Peer {
  readonly address: string;
  connection: ClientConnection | undefined;
  dialing: Promise<ClientConnection> | undefined;
  failures: number;
  /** No new dial before this moment. */
  retryAtMs: number;
  lastFailure: ConsulError | undefined;
}

/** Invariant: a peer has a connection or a dial under way, never both. */
export class ConnectionPool {
  readonly #env: Env;
  readonly #network: RpcNetwork;
  readonly #peers = new Map<string, Peer>();
  #isClosed = false;
  #sweepTimer: Timer | undefined;

  constructor(env: Env, network: RpcNetwork = tcpNetwork) {
    this.#env = env;
    this.#network = network;
  }

  /**
   * Sends a request to the RPC listener at `address` (`host:port`).
   * Rejects with the peer's error as thrown there, or one of `unreachable` and `connectionLost`.
   */
  call(address: string, request: RpcRequest, signal?: AbortSignal): Promise<RpcReply> {
    const connection = this.#peers.get(address)?.connection;
    if (connection !== undefined) return connection.call(request, signal);
    return this.#connected(address).then((opened) => opened.call(request, signal));
  }

  /** The peer is suspected to be gone: unless it answers within a second, what waits for it fails. */
  probe(address: string): void {
    this.#peers.get(address)?.connection?.probe();
  }

  close(): void {
    this.#isClosed = true;
    this.#sweepTimer?.cancel();
    for (const peer of this.#peers.values()) peer.connection?.close();
    this.#peers.clear();
  }

  #connected(address: string): Promise<ClientConnection> {
    if (this.#isClosed) return Promise.reject(unreachable('connection pool closed'));
    const peer = this.#peer(address);
    if (peer === undefined) return Promise.reject(unreachable('too many peers'));
    if (peer.dialing !== undefined) return peer.dialing;
    if (peer.lastFailure !== undefined && this.#env.clock.monotonicMs() < peer.retryAtMs) {
      return Promise.reject(peer.lastFailure);
    }
    peer.dialing = this.#dial(peer);
    return peer.dialing;
  }

  async #dial(peer: Peer): Promise<ClientConnection> {
    try {
      const socket = await dial(peer.address, 'rpc', this.#env, this.#network);
      const connection = new ClientConnection(socket, this.#env, () => {
        if (peer.connection === connection) peer.connection = undefined;
      });
      if (this.#isClosed) {
        connection.close();
        throw new Error('connection pool closed');
      }
      peer.connection = connection;
      peer.failures = 0;
      peer.lastFailure = undefined;
      return connection;
    } catch (error) {
      const failure = unreachable(error instanceof Error ? error.message : String(error), error);
      peer.lastFailure = failure;
      peer.retryAtMs = this.#env.clock.monotonicMs() + backoffMs(peer.failures++, this.#env.random.next());
      throw failure;
    } finally {
      peer.dialing = undefined;
    }
  }

  #peer(address: string): Peer | undefined {
    const known = this.#peers.get(address);
    if (known !== undefined) return known;
    if (this.#peers.size >= MAX_PEERS) this.#sweep();
    if (this.#peers.size >= MAX_PEERS) return undefined;
    const peer: Peer = {
      address,
      connection: undefined,
      dialing: undefined,
      failures: 0,
      retryAtMs: 0,
      lastFailure: undefined,
    };
    this.#peers.set(address, peer);
    this.#sweepTimer ??= this.#env.clock.setTimer(SWEEP_INTERVAL_MS, () => this.#onSweepTimer());
    return peer;
  }

  #onSweepTimer(): void {
    this.#sweep();
    const isNeeded = this.#peers.size > 0;
    this.#sweepTimer = isNeeded
      ? this.#env.clock.setTimer(SWEEP_INTERVAL_MS, () => this.#onSweepTimer())
      : undefined;
  }

  #sweep(): void {
    const nowMs = this.#env.clock.monotonicMs();
    for (const [address, peer] of this.#peers) {
      if (peer.dialing !== undefined) continue;
      if (peer.connection === undefined) {
        if (nowMs >= peer.retryAtMs) this.#peers.delete(address);
      } else if (peer.connection.idleMs() >= IDLE_CLOSE_MS) {
        peer.connection.close();
        this.#peers.delete(address);
      }
    }
  }
}

/**
 * How long no new dial is tried: doubles per failure up to a second, with jitter, so that a peer that comes back is
 * found soon and one that stays away costs little.
 *
 * @param jitter 0 ≤ x < 1
 */
export function backoffMs(failures: number, jitter: number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 16));
  return (ceiling / 2) * (1 + jitter);
}
