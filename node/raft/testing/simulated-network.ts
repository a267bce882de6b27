/** A network for tests: streams whose writes may be late, lost, repeated, overtaken, or cut in one direction. */

import type { Clock, Random } from '../../../shared/env.ts';
import type { PeerNetwork, PeerStream, RaftPeer } from '../types.ts';

export interface NetworkFaults {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** Each 0–1, of single writes. */
  readonly loss: number;
  readonly duplication: number;
  /** Whether a write may arrive before an earlier one. */
  readonly reordering: boolean;
  /** 0–1: a write asks the writer to pause for a moment. */
  readonly pausing: number;
}

export const CALM: NetworkFaults = {
  minDelayMs: 0.5,
  maxDelayMs: 1,
  loss: 0,
  duplication: 0,
  reordering: false,
  pausing: 0,
};

interface Host {
  accept: ((stream: PeerStream) => void) | undefined;
  readonly ends: Set<StreamEnd>;
}

/** Each write is one unit: it arrives whole or not at all. The first one on a stream always arrives, and first. */
export class SimulatedNetwork {
  readonly clock: Clock;
  readonly random: Random;
  faults: NetworkFaults = CALM;
  readonly #hosts = new Map<string, Host>();
  readonly #cuts = new Set<string>();
  readonly #pausedUntilMs = new Map<string, number>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** Joins a host under its address; what was there under it is forgotten. */
  join(address: string): PeerNetwork {
    const host: Host = { accept: undefined, ends: new Set() };
    this.#hosts.set(address, host);
    return {
      dial: (peer) => this.#dial(address, host, peer),
      onStream: (accept) => {
        host.accept = accept;
      },
    };
  }

  /** The host's process dies: its streams end, and what it had under way is gone. */
  leave(address: string): void {
    const host = this.#hosts.get(address);
    this.#hosts.delete(address);
    for (const end of [...(host?.ends ?? [])]) end.abort();
  }

  /** Nothing gets from one address to another any more; streams stay open, as on a real network. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from} ${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** What arrives at the address is not looked at until then: its process stands still. */
  pause(address: string, untilMs: number): void {
    this.#pausedUntilMs.set(address, untilMs);
  }

  /** Calls back now, or once the process there goes on; a little later than its timers, as an event loop does. */
  whenAwake(address: string, run: () => void): void {
    const leftMs = (this.#pausedUntilMs.get(address) ?? 0) - this.clock.monotonicMs();
    if (leftMs <= 0) run();
    else this.clock.setTimer(leftMs + 0.1, run);
  }

  delayMs(): number {
    const { minDelayMs, maxDelayMs } = this.faults;
    return minDelayMs + this.random.next() * (maxDelayMs - minDelayMs);
  }

  #dial(from: string, host: Host, peer: RaftPeer): Promise<PeerStream> {
    return new Promise((resolve, reject) => {
      this.clock.setTimer(this.delayMs(), () => {
        const target = this.#hosts.get(peer.address);
        const isUp = target?.accept !== undefined && this.#hosts.get(from) === host;
        if (!isUp || this.isCut(from, peer.address) || this.isCut(peer.address, from)) {
          reject(new Error(`connect ECONNREFUSED ${peer.address}`));
          return;
        }
        const near = new StreamEnd(this, from, peer.address, host.ends);
        const far = new StreamEnd(this, peer.address, from, target.ends);
        near.other = far;
        far.other = near;
        target.accept?.(far);
        resolve(near);
      });
    });
  }
}

/** Invariant: a closed end neither delivers nor accepts anything. */
class StreamEnd implements PeerStream {
  other: StreamEnd | undefined;
  readonly #network: SimulatedNetwork;
  readonly #from: string;
  readonly #to: string;
  readonly #siblings: Set<StreamEnd>;
  #receive: ((bytes: Uint8Array) => void) | undefined;
  #early: Uint8Array[] = [];
  #resume: (() => void) | undefined;
  #closed: ((error?: Error) => void) | undefined;
  #isOpen = true;
  #isFirst = true;
  #notBeforeMs = 0;

  constructor(network: SimulatedNetwork, from: string, to: string, siblings: Set<StreamEnd>) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#siblings = siblings;
    siblings.add(this);
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isOpen) return true;
    const { random, faults, clock } = this.#network;
    const copy = new Uint8Array(bytes);
    if (this.#isFirst) this.#deliverLater(copy, true);
    else if (random.next() >= faults.loss) {
      this.#deliverLater(copy, false);
      if (random.next() < faults.duplication) this.#deliverLater(copy, false);
    }
    this.#isFirst = false;
    if (random.next() >= faults.pausing) return true;
    clock.setTimer(this.#network.delayMs(), () => {
      if (this.#isOpen) this.#resume?.();
    });
    return false;
  }

  onData(receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
    for (const bytes of this.#early) receive(bytes);
    this.#early = [];
  }

  onDrain(resume: () => void): void {
    this.#resume = resume;
  }

  onClose(closed: (error?: Error) => void): void {
    this.#closed = closed;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#end();
    const far = this.other;
    this.#network.clock.setTimer(this.#network.delayMs(), () => far?.abort());
  }

  /** Ends both ends at once. */
  abort(): void {
    if (!this.#isOpen) return;
    this.#end();
    this.other?.abort();
  }

  deliver(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    if (this.#receive === undefined) this.#early.push(bytes);
    else this.#receive(bytes);
  }

  #deliverLater(bytes: Uint8Array, isFirst: boolean): void {
    const { clock, faults } = this.#network;
    const now = clock.monotonicMs();
    const atMs = Math.max(now + this.#network.delayMs(), this.#notBeforeMs);
    if (isFirst || !faults.reordering) this.#notBeforeMs = atMs;
    clock.setTimer(atMs - now, () => {
      const isLost = this.#network.isCut(this.#from, this.#to) && !isFirst;
      if (!isLost) this.#network.whenAwake(this.#to, () => this.other?.deliver(bytes));
    });
  }

  #end(): void {
    this.#isOpen = false;
    this.#siblings.delete(this);
    this.#closed?.();
  }
}
