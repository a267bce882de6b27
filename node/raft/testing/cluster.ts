/** Several servers in one process on a simulated clock, network and disks: for driver tests and for the simulator. */

import type { Env } from '../../../shared/env.ts';
import { createLogger, type LogRecord, silentLogger } from '../../../shared/log.ts';
import { SeededRandom, SimulatedClock } from '../../../shared/simulated-env.ts';
import { asNodeId } from '../core/entry.ts';
import { createRaftNode, type RaftNodeOptions, type RaftTiming } from '../raft-node.ts';
import type { LogIndex, RaftEvent, RaftNode, RaftPeer } from '../types.ts';
import { SimulatedDisk } from '../wal/simulated-disk.ts';
import { type Applied, createRecorder, type Recorder } from './recorder.ts';
import { SimulatedNetwork } from './simulated-network.ts';

export interface ClusterOptions {
  readonly seed: number;
  readonly size: number;
  /** Servers without files. */
  readonly inMemory?: boolean;
  readonly maxDiskDelayMs?: number;
  /** Relative error of each server's clock rate, 0–0.1, in either direction. */
  readonly clockError?: number;
  readonly node?: Partial<RaftNodeOptions>;
  readonly onApply?: (server: Server, applied: Applied) => void;
  readonly onLog?: (server: Server, record: LogRecord) => void;
}

/** One server over all its lives. */
export interface Server {
  /** A server may come back under another address. */
  peer: RaftPeer;
  readonly disk: SimulatedDisk;
  /** Undefined while it is down. */
  node: RaftNode | undefined;
  recorder: Recorder;
  events: RaftEvent[];
  life: number;
  /** Until then its process stands still. */
  pausedUntilMs: number;
}

/** Quick, and without anything that is put off: what follows from what is then seen best. */
export const TEST_TIMING: RaftTiming = { heartbeatMs: 50, electionMs: 250, leaseMs: 200 };

export const RAFT_DIRECTORY = 'data/raft';

export class Cluster {
  readonly clock = new SimulatedClock();
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly servers: Server[] = [];
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
    this.network = new SimulatedNetwork(this.clock, this.random);
    for (let i = 0; i < options.size; i++) this.add();
  }

  /** Adds a server that is not yet running. */
  add(): Server {
    const number = this.servers.length + 1;
    const server: Server = {
      peer: { id: asNodeId(`n${number}`), address: `10.0.0.${number}:8300`, isVoter: true },
      disk: new SimulatedDisk({
        clock: this.clock,
        random: this.random,
        maxDelayMs: this.#options.maxDiskDelayMs ?? 0,
      }),
      node: undefined,
      recorder: createRecorder(),
      events: [],
      life: 0,
      pausedUntilMs: 0,
    };
    this.servers.push(server);
    return server;
  }

  /** Starts all servers and bootstraps each with all of them. */
  async bootstrap(): Promise<void> {
    for (const server of this.servers) await this.start(server);
    const peers = this.servers.map((server) => server.peer);
    await this.settled(Promise.all(this.servers.map((server) => server.node?.bootstrap(peers))));
  }

  /** Starts a server, moving time as far as that takes. @throws what `RaftNode.start` threw */
  async start(server: Server): Promise<RaftNode> {
    const node = this.launch(server);
    let failure: unknown;
    let isUp = false;
    node.start().then(
      () => {
        isUp = true;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    for (let i = 0; i < 10_000 && !isUp && failure === undefined; i++) await this.advance(1);
    if (failure !== undefined) throw failure;
    return node;
  }

  /** Makes a new life of the server; the caller starts it. */
  launch(server: Server): RaftNode {
    server.life++;
    server.recorder = createRecorder((applied) => this.#options.onApply?.(server, applied));
    server.events = [];
    const node = createRaftNode({
      id: server.peer.id,
      address: server.peer.address,
      directory: this.#options.inMemory === true ? undefined : RAFT_DIRECTORY,
      disk: server.disk.connect(),
      stateMachine: server.recorder,
      network: this.network.join(server.peer.address),
      env: this.#envOf(server),
      log: this.#logOf(server),
      timing: TEST_TIMING,
      endOfTurn: (run) => {
        const { life } = server;
        this.clock.setTimer(0, () => {
          if (server.life === life) run();
        });
      },
      ...this.#options.node,
    });
    node.subscribe((event) => server.events.push(event));
    server.node = node;
    return node;
  }

  /** The process dies at once; what was not synced is lost or torn. */
  crash(server: Server): void {
    server.life++;
    server.node = undefined;
    this.network.leave(server.peer.address);
    server.disk.crash();
  }

  /** The process stands still for a while: no timer fires and nothing is read, but its connections stay open. */
  pause(server: Server, ms: number): void {
    server.pausedUntilMs = this.clock.monotonicMs() + ms;
    this.network.pause(server.peer.address, server.pausedUntilMs);
  }

  /** The process ends in good order. */
  async stop(server: Server): Promise<void> {
    const stopped = server.node?.stop();
    await this.advance(200);
    await stopped;
    server.life++;
    server.node = undefined;
    this.network.leave(server.peer.address);
  }

  advance(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Moves time until the condition holds. @throws Error when it does not within `limitMs` */
  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    const end = this.clock.monotonicMs() + limitMs;
    while (!condition()) {
      if (this.clock.monotonicMs() >= end) throw new Error(`not within ${limitMs} ms: ${what}`);
      await this.advance(5);
    }
  }

  /** Moves time until the promise is settled. */
  async settled<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let isSettled = false;
    const mark = () => {
      isSettled = true;
    };
    promise.then(mark, mark);
    await this.until('promise settled', () => isSettled, limitMs);
    return promise;
  }

  /** The server that leads in the highest term, if it has committed in it. */
  leader(): Server | undefined {
    let best: Server | undefined;
    let bestTerm = 0;
    for (const server of this.servers) {
      const status = server.node?.status();
      if (status?.role !== 'leader' || status.term <= bestTerm) continue;
      best = server;
      bestTerm = status.term;
    }
    return best;
  }

  async elected(): Promise<{ readonly server: Server; readonly node: RaftNode }> {
    const isReady = () => {
      const status = this.leader()?.node?.status();
      return status !== undefined && status.lastLogTerm === status.term && status.commitIndex > 0;
    };
    await this.until('a leader', isReady);
    const server = this.leader();
    if (server?.node === undefined) throw new Error('no leader');
    return { server, node: server.node };
  }

  async propose(
    node: RaftNode,
    command: string,
  ): Promise<{ readonly index: LogIndex; readonly result: unknown }> {
    return this.settled(node.propose(new TextEncoder().encode(command)));
  }

  #envOf(server: Server): Env {
    const { life } = server;
    const { clock } = this;
    const rate = 1 + (this.#options.clockError ?? 0) * (2 * this.random.next() - 1);
    const random = new SeededRandom(this.random.nextUint32());
    return {
      random,
      clock: {
        nowMs: () => clock.nowMs(),
        monotonicMs: () => clock.monotonicMs() * rate,
        setTimer: (delayMs, fire) =>
          clock.setTimer(delayMs / rate, () => {
            const leftMs = server.pausedUntilMs - clock.monotonicMs();
            const fireIfAlive = () => {
              if (server.life === life) fire();
            };
            if (leftMs > 0) clock.setTimer(leftMs, fireIfAlive);
            else fireIfAlive();
          }),
      },
    };
  }

  #logOf(server: Server): RaftNodeOptions['log'] {
    const { onLog } = this.#options;
    if (onLog === undefined) return silentLogger;
    const sink = { wants: () => true, write: (record: LogRecord) => onLog(server, record) };
    return createLogger('agent.server.raft', [sink], () => this.clock.nowMs());
  }
}
