/** TCP between simulated machines: what the RPC code knows as sockets, over the links of the world. */

import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { STREAM_KIND } from '../../../node/rpc/frame.ts';
import type { RpcNetwork } from '../../../node/rpc/network.ts';
import type { SimulatedClock } from '../../../shared/simulated-env.ts';
import type { Host } from './host.ts';
import { type Links, RETRANSMIT_MS } from './links.ts';

/** A sender is asked to pause when so much of what it wrote has not arrived. */
const HIGH_WATER_BYTES = 64 * 1024;
/** The preface and Raft's greeting arrive, and first: without them a stream is none. */
const GREETING_WRITES = 2;

interface Listener {
  readonly life: number;
  readonly accept: (socket: Socket) => void;
}

/** All machines by address, and who listens where. */
export class SocketNetwork {
  readonly clock: SimulatedClock;
  readonly links: Links;
  readonly #hosts = new Map<string, Host>();
  readonly #listeners = new Map<string, Listener>();
  readonly #open = new Set<SimulatedSocket>();

  constructor(clock: SimulatedClock, links: Links) {
    this.clock = clock;
    this.links = links;
  }

  add(host: Host): void {
    this.#hosts.set(host.ip, host);
  }

  hostAt(ip: string): Host | undefined {
    return this.#hosts.get(ip);
  }

  /** The network as the current life of the host sees it. */
  of(host: Host): RpcNetwork {
    const { life } = host;
    return {
      connect: (ip, port) => asSocket(this.#connect(host, life, ip, port)),
      listen: async (_bind, port, accept) => {
        const address = `${host.ip}:${port}`;
        this.#listeners.set(address, { life, accept });
        return {
          port,
          close: async () => {
            if (this.#listeners.get(address)?.life === life) this.#listeners.delete(address);
          },
        };
      },
    };
  }

  /** The process of this host has ended: its kernel ends its connections, unless the power is gone. */
  ended(host: Host): void {
    for (const socket of [...this.#open]) if (socket.host === host) socket.vanish();
  }

  /** The host runs again: it does not know the connections of its former life. */
  restarted(host: Host): void {
    for (const socket of [...this.#open])
      if (socket.host !== host && socket.far?.host === host && socket.far.isGone) socket.reset();
  }

  opened(socket: SimulatedSocket): void {
    this.#open.add(socket);
  }

  closed(socket: SimulatedSocket): void {
    this.#open.delete(socket);
  }

  #connect(host: Host, life: number, ip: string, port: number): SimulatedSocket {
    const near = new SimulatedSocket(this, host, life, ip);
    const attempt = () => {
      if (near.destroyed || life !== host.life) return;
      const target = this.#hosts.get(ip);
      // Nothing comes back: the dialler is left to its own time limit.
      if (target === undefined || !target.hasPower || !this.links.isWhole(host.ip, ip)) {
        this.clock.setTimer(5 * RETRANSMIT_MS, attempt);
        return;
      }
      const listener = this.#listeners.get(`${ip}:${port}`);
      if (listener === undefined || listener.life !== target.life) {
        host.run(life, () => near.fail(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })));
        return;
      }
      const far = new SimulatedSocket(this, target, target.life, host.ip);
      near.far = far;
      far.far = near;
      target.run(target.life, () => {
        if (!far.destroyed) listener.accept(asSocket(far));
      });
      host.run(life, () => {
        if (!near.destroyed) near.emit('connect');
      });
    };
    this.clock.setTimer(2 * this.links.reliableDelayMs(host.ip, ip), attempt);
    return near;
  }
}

/**
 * One end of a connection. What carries Raft is a series of messages, each write one, which the weather may lose,
 * repeat and reorder; everything else arrives whole and in order, if late.
 *
 * Invariant: `#arrived` is what came while nobody listened; `#outgoing` is in the order of writing.
 */
class SimulatedSocket extends EventEmitter {
  readonly host: Host;
  readonly remoteAddress: string;
  far: SimulatedSocket | undefined;
  destroyed = false;
  writableLength = 0;
  /** Its process ended without a word. */
  isGone = false;
  readonly #network: SocketNetwork;
  readonly #life: number;
  readonly #outgoing: { readonly bytes: Buffer | undefined; readonly atMs: number }[] = [];
  #isSending = false;
  #writes = 0;
  #isRaft = false;
  #isPaused = false;
  #arrived: Buffer[] = [];

  constructor(network: SocketNetwork, host: Host, life: number, remoteAddress: string) {
    super();
    this.#network = network;
    this.host = host;
    this.#life = life;
    this.remoteAddress = remoteAddress;
    network.opened(this);
  }

  get writable(): boolean {
    return !this.destroyed;
  }

  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    super.on(event, listener as (...args: unknown[]) => void);
    if (event === 'data')
      this.#network.clock.setTimer(0, () => this.host.run(this.#life, () => this.#flow()));
    return this;
  }

  write(bytes: Uint8Array): boolean {
    if (this.destroyed || this.isGone || this.host.life !== this.#life) return false;
    const copy = Buffer.from(bytes);
    this.#writes++;
    if (this.#writes === 1 && copy.at(-1) === STREAM_KIND.raft) {
      this.#isRaft = true;
      if (this.far !== undefined) this.far.#isRaft = true;
    }
    if (this.#isRaft && this.#writes > GREETING_WRITES) this.#sendMessage(copy);
    else this.#sendInOrder(copy);
    return this.writableLength < HIGH_WATER_BYTES;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#network.clock.setTimer(0, () => this.host.run(this.#life, () => this.#flow()));
  }

  unshift(bytes: Buffer): void {
    this.#arrived.unshift(bytes);
  }

  cork(): void {}
  uncork(): void {}

  /** The process closes the connection; the other end hears of it as far as the network lets it. */
  destroy(): void {
    if (this.destroyed) return;
    this.#end();
    this.#sendInOrder(undefined);
  }

  /** The other end answered that it knows no such connection. */
  reset(): void {
    this.fail(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  }

  fail(error: Error): void {
    if (this.destroyed) return;
    this.host.run(this.#life, () => {
      if (this.destroyed) return;
      this.emit('error', error);
      this.#end();
    });
  }

  /** The process has ended. With power its kernel says so; without, the other end is left in the dark. */
  vanish(): void {
    if (this.isGone || this.destroyed) return;
    this.isGone = true;
    this.#network.closed(this);
    if (this.host.hasPower) this.#sendInOrder(undefined);
  }

  #end(): void {
    this.destroyed = true;
    this.#network.closed(this);
    this.#network.clock.setTimer(0, () => this.host.run(this.#life, () => this.emit('close')));
  }

  #sendMessage(bytes: Buffer): void {
    const { clock, links } = this.#network;
    const { ip } = this.host;
    const copies = links.isLost() ? 0 : links.isDuplicated() ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (!links.weather.reordering) {
        this.#sendInOrder(bytes);
        continue;
      }
      clock.setTimer(links.delayMs(ip, this.remoteAddress), () => {
        if (!links.isCut(ip, this.remoteAddress)) this.far?.receive(bytes);
      });
    }
  }

  #sendInOrder(bytes: Buffer | undefined): void {
    const { clock, links } = this.#network;
    const delayMs = this.#isRaft
      ? links.delayMs(this.host.ip, this.remoteAddress)
      : links.reliableDelayMs(this.host.ip, this.remoteAddress);
    this.#outgoing.push({ bytes, atMs: clock.monotonicMs() + delayMs });
    this.writableLength += bytes?.length ?? 0;
    if (!this.#isSending) this.#sendNext();
  }

  #sendNext(): void {
    const next = this.#outgoing[0];
    this.#isSending = next !== undefined;
    if (next === undefined) return;
    const { clock } = this.#network;
    clock.setTimer(Math.max(0, next.atMs - clock.monotonicMs()), () => this.#arrive());
  }

  #arrive(): void {
    const { clock, links } = this.#network;
    const isCut = links.isCut(this.host.ip, this.remoteAddress);
    const isForRaft = this.#isRaft && this.#outgoing[0]?.bytes !== undefined;
    if (isCut && !isForRaft) {
      if (this.far?.destroyed !== false) return;
      clock.setTimer(RETRANSMIT_MS, () => this.#arrive());
      return;
    }
    const next = this.#outgoing.shift();
    if (next === undefined) return;
    const wasFull = this.writableLength >= HIGH_WATER_BYTES;
    this.writableLength -= next.bytes?.length ?? 0;
    if (next.bytes === undefined) this.far?.hangUp();
    else if (!isCut) this.far?.receive(next.bytes);
    if (wasFull && this.writableLength < HIGH_WATER_BYTES)
      this.host.run(this.#life, () => {
        if (!this.destroyed) this.emit('drain');
      });
    this.#sendNext();
  }

  receive(bytes: Buffer): void {
    this.host.run(this.#life, () => {
      if (this.destroyed) return;
      this.#arrived.push(bytes);
      this.#flow();
    });
  }

  hangUp(): void {
    this.host.run(this.#life, () => {
      if (!this.destroyed) this.#end();
    });
  }

  #flow(): void {
    while (!this.destroyed && !this.#isPaused && this.listenerCount('data') > 0) {
      const bytes = this.#arrived.shift();
      if (bytes === undefined) return;
      this.emit('data', bytes);
    }
  }
}

/** It does all that the RPC code asks of a socket. */
function asSocket(socket: SimulatedSocket): Socket {
  return socket as unknown as Socket;
}
