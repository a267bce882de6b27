/** Carries packets of metrics to a collector: statsd over UDP, statsite over TCP. What cannot be sent is lost. */

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import type { Clock } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';

export interface Collector {
  readonly host: string;
  readonly port: number;
}

export interface PacketSender {
  /** Never throws and never waits. */
  send(packet: string): void;
  close(): void;
}

/** Pause before another attempt to reach a collector. */
const RETRY_MS = 5000;
/** Unsent bytes above which a slow collector loses what comes on top. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** A socket that is opened when first needed and again a while after it broke. */
interface Attempt<S> {
  /** undefined while there is none. */
  socket: S | undefined;
  isReady: boolean;
  retryAtMs: number;
}

/** The name is resolved once for each socket, not for each packet. */
export function udpSender({ host, port }: Collector, clock: Clock, log: Logger): PacketSender {
  const state: Attempt<UdpSocket> = { socket: undefined, isReady: false, retryAtMs: 0 };

  function open(): void {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    state.socket = socket;
    socket.unref();
    // Once connected, an error only says that an earlier packet found nobody.
    socket.on('error', (error) => {
      if (!state.isReady) failed(socket, error);
    });
    socket.connect(port, host, () => {
      if (state.socket === socket) state.isReady = true;
    });
  }

  function failed(socket: UdpSocket, error: Error): void {
    log.warn('Error connecting to statsd', { address: `${host}:${port}`, error: error.message });
    state.socket = undefined;
    state.retryAtMs = clock.monotonicMs() + RETRY_MS;
    socket.close();
  }

  return {
    send(packet) {
      if (state.socket === undefined && clock.monotonicMs() >= state.retryAtMs) open();
      if (state.isReady) state.socket?.send(packet, () => undefined);
    },
    close() {
      state.isReady = false;
      state.retryAtMs = Number.POSITIVE_INFINITY;
      state.socket?.close();
      state.socket = undefined;
    },
  };
}

export function tcpSender({ host, port }: Collector, clock: Clock, log: Logger): PacketSender {
  const state: Attempt<Socket> = { socket: undefined, isReady: false, retryAtMs: 0 };

  function open(): void {
    const socket = connect({ host, port, noDelay: true });
    state.socket = socket;
    socket.unref();
    socket.on('connect', () => {
      state.isReady = true;
    });
    socket.on('error', (error) =>
      log.warn('Error connecting to statsite', { address: `${host}:${port}`, error: error.message }),
    );
    socket.on('close', () => {
      if (state.socket !== socket) return;
      state.socket = undefined;
      state.isReady = false;
      state.retryAtMs = clock.monotonicMs() + RETRY_MS;
    });
    // Nobody answers; reading lets the end of the connection be seen.
    socket.resume();
  }

  return {
    send(packet) {
      if (state.socket === undefined && clock.monotonicMs() >= state.retryAtMs) open();
      const { socket, isReady } = state;
      if (socket !== undefined && isReady && socket.writableLength < MAX_UNSENT_BYTES) socket.write(packet);
    },
    close() {
      state.retryAtMs = Number.POSITIVE_INFINITY;
      state.socket?.destroy();
      state.socket = undefined;
      state.isReady = false;
    },
  };
}
