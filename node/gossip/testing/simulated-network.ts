/** A network inside one process: many gossip transports on a simulated clock, with delay, loss, duplication and partitions. */

import type { Clock, Random } from '../../../shared/env.ts';
import type { Endpoint, GossipStream, GossipTransport, TransportListener } from '../gossip-transport.ts';

export interface LinkConditions {
  /** One-way delay, milliseconds; each message takes between half and one and a half of it. */
  delayMs: number;
  /** Share of datagrams lost, 0 ≤ p ≤ 1. Streams are reliable while the link is up. */
  loss: number;
  /** Share of datagrams delivered twice. */
  duplication: number;
}

/** Invariant: `#bound` holds the transports that are bound now, by host; one host has one transport and one port. */
export class SimulatedNetwork {
  readonly conditions: LinkConditions = { delayMs: 1, loss: 0, duplication: 0 };
  packets = 0;
  bytes = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #bound = new Map<string, { port: number; listener: TransportListener }>();
  #sideOf: ((host: string) => number) | undefined;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Hosts on different sides cannot reach each other until `heal`. */
  partition(sideOf: (host: string) => number): void {
    this.#sideOf = sideOf;
  }

  heal(): void {
    this.#sideOf = undefined;
  }

  transport(host: string): GossipTransport {
    return {
      bind: async (_host, port, listener) => {
        if (this.#bound.has(host)) throw new Error(`${host} is bound already`);
        this.#bound.set(host, { port, listener });
        return port;
      },
      sendPacket: (packet, to) => this.#sendPacket(packet, { host, port: this.#portOf(host) }, to),
      connect: (to, timeoutMs) => this.#connect({ host, port: this.#portOf(host) }, to, timeoutMs),
      resolve: async (name) => {
        throw new Error(`lookup ${name}: no such host`);
      },
      close: async () => {
        this.#bound.delete(host);
      },
    };
  }

  #portOf(host: string): number {
    return this.#bound.get(host)?.port ?? 0;
  }

  #isUp(a: string, b: string): boolean {
    return this.#sideOf === undefined || this.#sideOf(a) === this.#sideOf(b);
  }

  #listenerAt(from: string, to: Endpoint): TransportListener | undefined {
    const target = this.#bound.get(to.host);
    return this.#isUp(from, to.host) && target?.port === to.port ? target.listener : undefined;
  }

  #delayMs(): number {
    return this.conditions.delayMs * (0.5 + this.#random.next());
  }

  #sendPacket(packet: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.packets += 1;
    this.bytes += packet.length;
    if (from.port === 0 || this.#random.next() < this.conditions.loss) return;
    const copies = this.#random.next() < this.conditions.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const deliver = () => this.#listenerAt(from.host, to)?.onPacket(new Uint8Array(packet), from);
      this.#clock.setTimer(this.#delayMs(), deliver);
    }
  }

  #connect(from: Endpoint, to: Endpoint, timeoutMs: number): Promise<GossipStream> {
    const dial = `dial tcp ${to.host}:${to.port}`;
    return new Promise((resolve, reject) => {
      if (!this.#isUp(from.host, to.host)) {
        this.#clock.setTimer(timeoutMs, () => reject(new Error(`${dial}: i/o timeout`)));
        return;
      }
      this.#clock.setTimer(this.#delayMs(), () => {
        const listener = this.#listenerAt(from.host, to);
        if (listener === undefined) {
          reject(new Error(`${dial}: connect: connection refused`));
          return;
        }
        const [near, far] = this.#pipe(from, to);
        listener.onStream(far);
        resolve(near);
      });
    });
  }

  #pipe(a: Endpoint, b: Endpoint): [GossipStream, GossipStream] {
    const near = new SimulatedStream(b);
    const far = new SimulatedStream(a);
    const isUp = () => this.#isUp(a.host, b.host);
    const carry = (act: () => void) => {
      // One fixed delay keeps the bytes of a stream in order.
      this.#clock.setTimer(this.conditions.delayMs, () => {
        if (isUp()) act();
      });
    };
    near.attach(far, carry);
    far.attach(near, carry);
    return [near, far];
  }
}

class SimulatedStream implements GossipStream {
  readonly remote: Endpoint;
  #peer: SimulatedStream | undefined;
  #carry: (act: () => void) => void = () => undefined;
  #onBytes: ((chunk: Uint8Array) => void) | undefined;
  #onClose: ((error: Error | undefined) => void) | undefined;

  constructor(remote: Endpoint) {
    this.remote = remote;
  }

  attach(peer: SimulatedStream, carry: (act: () => void) => void): void {
    this.#peer = peer;
    this.#carry = carry;
  }

  listen(onBytes: (chunk: Uint8Array) => void, onClose: (error: Error | undefined) => void): void {
    this.#onBytes = onBytes;
    this.#onClose = onClose;
  }

  write(bytes: Uint8Array): void {
    const peer = this.#peer;
    const copy = new Uint8Array(bytes);
    this.#carry(() => peer?.receive(copy));
  }

  end(): void {
    const peer = this.#peer;
    this.#carry(() => peer?.closed());
  }

  destroy(): void {
    this.end();
    this.#onBytes = undefined;
    this.#peer = undefined;
  }

  receive(bytes: Uint8Array): void {
    this.#onBytes?.(bytes);
  }

  closed(): void {
    this.#onClose?.(undefined);
    this.#onClose = undefined;
  }
}
