/** A whole cluster in one process, to which everything happens that may: one seed, one history. */

import { isDeepStrictEqual } from 'node:util';
import type { PlantedBug } from '../../../node/raft/core/options.ts';
import { type Random, randomInt, sleep } from '../../../shared/env.ts';
import { SeededRandom, SimulatedClock } from '../../../shared/simulated-env.ts';
import type { KvOperation } from '../../history/kv-model.ts';
import type { Hold } from '../../history/locks.ts';
import type { WatchView } from '../../history/watch.ts';
import { Invariants, Violation } from '../raft-invariants.ts';
import {
  ClientAgent,
  type RaftSizes,
  ServerAgent,
  type ServerObserver,
  type Surroundings,
} from './agents.ts';
import { ask, describe, operate, type Recorder, runKvClient } from './clients.ts';
import { type Fault, planFaults } from './faults.ts';
import { type Access, directAccess, Gateway, type HttpAnswer, type HttpRequestText } from './gateways.ts';
import { Host } from './host.ts';
import { HttpNetwork } from './http.ts';
import { Links } from './links.ts';
import { LOCK_NODE, runLocker } from './lockers.ts';
import { Mishaps, type Process } from './mishaps.ts';
import { PoolOracle } from './pool-view.ts';
import { SocketNetwork } from './sockets.ts';
import { describeServers, haveCaughtUp } from './standing.ts';
import { judgeLocks, judgeOperations, judgeWatchers, StateComparison } from './verdicts.ts';
import { startWatcher, viewOf, type Watcher } from './watchers.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Simulated time with faults. Default 8 s, some thirty election times. */
  readonly chaosMs?: number;
  /** Instead of those that follow from the seed. */
  readonly faults?: readonly Fault[];
  /** Of each client, at most. */
  readonly operations?: number;
  readonly plantedBug?: PlantedBug | undefined;
  readonly trace?: ((line: string) => void) | undefined;
  /** Whether the agents' logs are part of the trace. */
  readonly withLogs?: boolean;
}

export interface WorldResult {
  readonly operations: number;
  readonly unknownOutcomes: number;
  readonly undecidedKeys: number;
  readonly watchEvents: number;
  readonly lockHolds: number;
  readonly terms: number;
  readonly statesCompared: number;
  readonly steps: number;
  readonly simulatedMs: number;
}

export const DEFAULT_CHAOS_MS = 8000;
export const DEFAULT_OPERATIONS = 120;
/** Until a new cluster has a leader that answers. */
const BEGIN_MS = 20_000;
/**
 * Once faults are over: until everything is written that clients still ask for, every server has applied it, and every
 * watcher was told. The longest waits in the product are the 9 s after which a silent connection is given up and the
 * 7 s for which a request waits for a leader.
 */
const RECOVERY_MS = 30_000;
const COMPARE_EVERY_MS = 250;
/** Until watchers are told and servers have caught up, when nothing more is written. */
const SOON_MS = 10_000;
/** A watcher that has nothing to recover from is told of each change in this time. */
const PROMPTLY_MS = 400;
const PROMPT_ROUNDS = 4;
const KEY_LIFE_MS = 1500;
const WATCHED = 'watched/';
const MAX_SERVERS = 7;

/**
 * Runs one history and checks it: properties of Raft after every event, what clients saw at its end.
 *
 * @throws Violation when something did not hold
 */
export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const world = new World(options);
  const onRejection = (error: unknown) => world.fail(new Violation(`unhandled rejection: ${trail(error)}`));
  process.on('unhandledRejection', onRejection);
  try {
    await world.run();
    return world.result();
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

/** The faults that follow from a seed. */
export function faultsOf({ seed, chaosMs = DEFAULT_CHAOS_MS }: WorldOptions): readonly Fault[] {
  return planFaults(seed, chaosMs, sizesOf(seed));
}

function sizesOf(seed: number) {
  const random = new SeededRandom(seed * 7919 + 2);
  return {
    servers: random.next() < 0.75 ? 3 : 5,
    agents: 1 + randomInt(random, 2),
    gateways: 1 + randomInt(random, 2),
  };
}

class World implements ServerObserver {
  readonly #options: WorldOptions;
  readonly #clock = new SimulatedClock();
  readonly #random: Random;
  readonly #seeds: SeededRandom;
  readonly #links: Links;
  readonly #around: Surroundings;
  readonly #servers: ServerAgent[] = [];
  readonly #agents: ClientAgent[] = [];
  readonly #gateways: Gateway[] = [];
  readonly #machines: Process[] = [];
  readonly #mishaps: Mishaps;
  readonly #invariants = new Invariants();
  readonly #states = new StateComparison();
  readonly #standing = new WeakMap<ServerAgent, { life: number; index: number }>();
  readonly #operations: KvOperation[] = [];
  readonly #holds: Hold[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #recorder: Recorder = {
    clock: this.#clock,
    trace: (line) => this.#trace(line),
    record: (operation) => void this.#operations.push(operation),
    isOver: () => this.#isChaosOver,
  };
  #outsiders = 0;
  #violation: unknown;
  #isChaosOver = false;
  #steps = 0;
  #undecided = 0;
  #nextCompareMs = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#seeds = new SeededRandom(options.seed * 7919 + 1);
    this.#random = new SeededRandom(this.#seeds.nextUint32());
    this.#links = new Links(new SeededRandom(this.#seeds.nextUint32()));
    this.#around = {
      clock: this.#clock,
      random: this.#random,
      sockets: new SocketNetwork(this.#clock, this.#links),
      http: new HttpNetwork(this.#clock, this.#links),
      oracle: new PoolOracle(this.#clock, this.#links, new SeededRandom(this.#seeds.nextUint32())),
      sizes: this.#chooseSizes(),
      plantedBug: options.plantedBug,
      log: options.withLogs === true ? (line) => this.#trace(line) : undefined,
    };
    const { agents, gateways, servers } = sizesOf(options.seed);
    for (let i = 0; i < servers; i++) this.#addServer(servers);
    for (let i = 0; i < agents; i++)
      this.#addMachine(this.#agents, new ClientAgent(this.#host('agent'), this.#around));
    const seeds = [...this.#servers, ...this.#agents].map(({ host }) => host);
    for (let i = 0; i < gateways; i++)
      this.#addMachine(this.#gateways, new Gateway(this.#host('gateway'), this.#around, seeds));
    this.#mishaps = new Mishaps({
      around: this.#around,
      links: this.#links,
      servers: this.#servers,
      agents: this.#agents,
      gateways: this.#gateways,
      machines: this.#machines,
      addServer: () => {
        if (this.#servers.length < MAX_SERVERS) this.#addServer(0).boot();
      },
      trace: (line) => this.#trace(line),
    });
  }

  async run(): Promise<void> {
    const { chaosMs = DEFAULT_CHAOS_MS } = this.#options;
    for (const machine of this.#machines) machine.boot();
    await this.#until('a leader that answers', this.#setUp(), BEGIN_MS);
    this.#trace('the faults begin');
    this.#mishaps.schedule(this.#options.faults ?? faultsOf(this.#options));
    const clients = this.#startClients();
    await this.#pass(chaosMs);
    this.#trace('the faults end');
    this.#isChaosOver = true;
    this.#mishaps.heal();
    await this.#until('recovery', this.#recover(clients), RECOVERY_MS);
    await this.#states.look(this.#servers);
    this.#undecided = judgeOperations(this.#operations);
    judgeLocks(this.#holds);
  }

  result(): WorldResult {
    return {
      operations: this.#operations.length,
      unknownOutcomes: this.#operations.filter(({ output }) => output === undefined).length,
      undecidedKeys: this.#undecided,
      watchEvents: this.#watchers.reduce((sum, { events }) => sum + events.length, 0),
      lockHolds: this.#holds.length,
      terms: this.#invariants.termCount,
      statesCompared: this.#states.compared,
      steps: this.#steps,
      simulatedMs: Math.round(this.#clock.monotonicMs()),
    };
  }

  fail(violation: unknown): void {
    this.#violation ??= violation;
  }

  applied(server: ServerAgent, index: number, data: Uint8Array): void {
    const standing = this.#standing.get(server);
    const before = standing?.life === server.life ? standing.index : 0;
    this.#standing.set(server, { life: server.life, index });
    try {
      const command = Buffer.from(data).toString('latin1');
      this.#invariants.applied(server, { index: index as never, command } as never, before);
    } catch (error) {
      this.fail(error);
    }
  }

  restored(server: ServerAgent): void {
    this.#standing.delete(server);
  }

  failed(server: ServerAgent, error: Error): void {
    if (this.#mishaps.explains(server)) return;
    this.fail(new Violation(`${server.host.name} has failed: ${trail(error)}`));
  }

  #chooseSizes(): RaftSizes {
    const pick = (...values: readonly number[]) => values[randomInt(this.#random, values.length)] ?? 1;
    return {
      segmentBytes: pick(2000, 20_000, 1_000_000),
      snapshotThreshold: pick(20, 100, 10_000),
      snapshotIntervalMs: pick(200, 1000),
      trailingLogs: pick(0, 10, 1000),
      maxEntriesPerAppend: pick(1, 4, 64),
    };
  }

  #addServer(expect: number): ServerAgent {
    const server = new ServerAgent(this.#host('server'), this.#around, this, expect);
    return this.#addMachine(this.#servers, server);
  }

  #addMachine<M extends Process>(kind: M[], machine: M): M {
    kind.push(machine);
    this.#machines.push(machine);
    return machine;
  }

  #host(kind: string): Host {
    const number = this.#machines.length + 1;
    const host = new Host(`${kind}-${number}`, `10.0.0.${number}`, this.#clock, this.#seeds);
    this.#around.sockets.add(host);
    return host;
  }

  /** Waits until the cluster works, and puts there what clients rely on. */
  async #setUp(): Promise<void> {
    const body = JSON.stringify({ Node: LOCK_NODE, Address: '10.9.9.9' });
    await this.#succeed(this.#access(0), { method: 'PUT', target: '/v1/catalog/register', body });
  }

  /** Asks again and again. */
  async #succeed(access: Access, request: HttpRequestText, statuses = [200]): Promise<HttpAnswer> {
    for (;;) {
      const answered = await ask({ clock: this.#clock }, access, request);
      if (answered.kind === 'answer' && statuses.includes(answered.answer.status)) return answered.answer;
      this.#trace(`${request.method} ${request.target} via ${access.name}: ${describe(answered)}`);
      await sleep(this.#clock, 100);
    }
  }

  /** Different ways into the cluster: two in three through a gateway, the others straight to an agent. */
  #access(number: number): Access {
    const gateway = this.#gateways[number % this.#gateways.length];
    if (gateway !== undefined && number % 3 !== 2) return gateway;
    const start = randomInt(this.#random, this.#agents.length + this.#servers.length);
    return this.#directly(() => {
      const agents = [...this.#agents, ...this.#livingServers()];
      return (agents[start % agents.length] ?? agents[0])?.host;
    });
  }

  #directly(agentNow: () => Host | undefined): Access {
    const number = ++this.#outsiders;
    const host = new Host(`client-${number}`, `10.0.1.${number}`, this.#clock, this.#seeds);
    host.boot();
    return directAccess(host, () => agentNow() ?? host, this.#around);
  }

  #livingServers(): readonly ServerAgent[] {
    return this.#servers.filter((server) => !this.#mishaps.isRuined(server));
  }

  #startClients(): Promise<unknown>[] {
    const { operations = DEFAULT_OPERATIONS } = this.#options;
    const recorder = this.#recorder;
    const work: Promise<unknown>[] = [];
    const client = () => {
      const number = work.length + 1;
      const random = new SeededRandom(this.#seeds.nextUint32());
      return { number, random, recorder, access: this.#access(number) };
    };
    const thinkMs = 20 + this.#random.next() * 60;
    for (let i = 0; i < 5; i++) work.push(runKvClient({ ...client(), operations, thinkMs, keyAt }));
    for (let i = 0; i < 2; i++)
      work.push(
        runKvClient({
          ...client(),
          operations,
          thinkMs: 3 * thinkMs,
          keyAt: (_nowMs, random) => `${WATCHED}${randomInt(random, 3)}`,
        }),
      );
    for (let i = 0; i < 3; i++) {
      const held = (hold: Hold) => void this.#holds.push(hold);
      work.push(runLocker({ ...client(), key: 'lock', rounds: operations, held }));
    }
    for (let i = 0; i < 3; i++)
      this.#watchers.push(startWatcher(`watcher ${i + 1}`, this.#access(i), WATCHED, recorder));
    return work;
  }

  /** Faults are over. Everything must work again, by itself and soon. */
  async #recover(clients: readonly Promise<unknown>[]): Promise<void> {
    await Promise.all(clients);
    this.#trace('all clients are done');
    const ways = [
      ...this.#gateways,
      ...[...this.#agents, ...this.#livingServers()].map(({ host }) => this.#directly(() => host)),
    ];
    for (const [i, access] of ways.entries())
      await this.#succeed(access, { method: 'PUT', target: `/v1/kv/${WATCHED}last/${i}`, body: access.name });
    await this.#readEverything(ways);
    await this.#come(SOON_MS, await this.#areTold());
    for (let round = 1; round <= PROMPT_ROUNDS; round++) {
      const target = `/v1/kv/${WATCHED}last/round`;
      const method = round % 2 === 1 ? 'PUT' : 'DELETE';
      await this.#succeed(this.#access(0), { method, target, body: `${round}` });
      const areTold = await this.#areTold();
      await this.#come(PROMPTLY_MS, areTold);
      if (!areTold()) break;
    }
    judgeWatchers(this.#watchers, await this.#watchedNow());
    for (const watcher of this.#watchers) watcher.stop();
    await this.#come(SOON_MS, () => haveCaughtUp(this.#servers));
    if (!haveCaughtUp(this.#servers))
      throw new Violation(`liveness: not all have caught up: ${describeServers(this.#servers)}`);
  }

  /** Reads that count: what was acknowledged must be there, and the same everywhere. */
  async #readEverything(ways: readonly Access[]): Promise<void> {
    const keys = [...new Set(this.#operations.map(({ key }) => key))];
    for (const [i, key] of keys.entries()) {
      const access = ways[i % ways.length] ?? this.#access(0);
      const reader = { number: 0, random: this.#random, recorder: this.#recorder, access };
      while ((await operate(reader, key, { kind: 'get' })) === undefined) await sleep(this.#clock, 100);
    }
  }

  /** What watchers must know by now. */
  async #watchedNow(): Promise<WatchView> {
    const target = `/v1/kv/${WATCHED}?recurse&consistent`;
    const answer = await this.#succeed(this.#access(0), { method: 'GET', target }, [200, 404]);
    return answer.status === 404 ? {} : viewOf(answer.text);
  }

  /** @returns whether every watcher knows what there is now */
  async #areTold(): Promise<() => boolean> {
    const view = await this.#watchedNow();
    return () => this.#watchers.every(({ events }) => isDeepStrictEqual(events.at(-1)?.view, view));
  }

  /** Waits for something that should come about; whoever asked looks himself whether it did. */
  async #come(limitMs: number, condition: () => boolean): Promise<void> {
    for (let waitedMs = 0; !condition() && waitedMs < limitMs; waitedMs += 50) await sleep(this.#clock, 50);
  }

  async #until(what: string, work: Promise<unknown>, limitMs: number): Promise<void> {
    let isDone = false;
    work.then(
      () => {
        isDone = true;
      },
      (error: unknown) => this.fail(error),
    );
    const endMs = this.#clock.monotonicMs() + limitMs;
    while (!isDone) {
      if (this.#clock.monotonicMs() >= endMs)
        throw new Violation(`liveness: no ${what} within ${limitMs} ms: ${describeServers(this.#servers)}`);
      await this.#pass(20);
    }
  }

  /** Moves time on, and checks after every event. */
  async #pass(ms: number): Promise<void> {
    const endMs = this.#clock.monotonicMs() + ms;
    await this.#endOfTurn();
    for (;;) {
      const dueMs = this.#clock.nextDueMs();
      if (dueMs === undefined || dueMs > endMs) break;
      this.#clock.fireNext();
      await this.#endOfTurn();
      if (this.#clock.monotonicMs() >= this.#nextCompareMs) {
        this.#nextCompareMs = this.#clock.monotonicMs() + COMPARE_EVERY_MS;
        await this.#states.look(this.#servers);
      }
    }
    this.#clock.advance(Math.max(0, endMs - this.#clock.monotonicMs()));
  }

  /** Lets everything run that the last event has led to, what writes at the end of a turn included. */
  async #endOfTurn(): Promise<void> {
    this.#steps++;
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    this.#invariants.check(this.#servers);
    if (this.#violation !== undefined) throw this.#violation;
  }

  #trace(line: string): void {
    this.#options.trace?.(`${this.#clock.monotonicMs().toFixed(1).padStart(9)} ${line}`);
  }
}

function keyAt(nowMs: number, random: Random): string {
  return `key/${Math.floor(nowMs / KEY_LIFE_MS)}/${randomInt(random, 2)}`;
}

function trail(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
