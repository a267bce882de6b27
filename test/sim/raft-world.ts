/** A cluster to which everything happens that may: one seed, one history. */

import type { PlantedBug } from '../../node/raft/core/options.ts';
import { coreOf } from '../../node/raft/raft-node.ts';
import { Cluster, type Server } from '../../node/raft/testing/cluster.ts';
import { CALM, type NetworkFaults } from '../../node/raft/testing/simulated-network.ts';
import type { RaftEvent, RaftPeer } from '../../node/raft/types.ts';
import { randomInt } from '../../shared/env.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { Invariants, Violation } from './raft-invariants.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Simulated time with faults. Default 4 s, some sixteen election times. */
  readonly chaosMs?: number;
  readonly plantedBug?: PlantedBug | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export interface WorldResult {
  readonly seed: number;
  readonly proposed: number;
  readonly acknowledged: number;
  readonly committed: number;
  readonly terms: number;
  readonly crashes: number;
  readonly reads: number;
  readonly membershipChanges: number;
  readonly snapshots: number;
  readonly steps: number;
}

const DEFAULT_CHAOS_MS = 4000;
/** How long after the last fault a cluster may take to elect, commit and bring every server up to date. */
const RECOVERY_MS = 15_000;
const CLOCK_ERROR = 0.045;

/**
 * Runs one history and checks it at every step.
 *
 * @throws Violation, with the seed in its message, when a property did not hold
 */
export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const world = new World(options);
  try {
    await world.run();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const bug = options.plantedBug === undefined ? '' : ` --bug ${options.plantedBug}`;
    throw new Violation(
      `seed ${options.seed}: ${what}\n  replay: node test/sim/raft-run.ts --seed ${options.seed}${bug} --trace`,
      { cause: error },
    );
  }
  return world.result();
}

class World {
  readonly #options: WorldOptions;
  readonly #random: SeededRandom;
  readonly #cluster: Cluster;
  readonly #invariants = new Invariants();
  readonly #initialSize: number;
  /** In such a history leaders die soon after their election: many short terms, each leaving a little behind. */
  readonly #isHuntingLeaders: boolean;
  #violation: unknown;
  #isQuiet = false;
  #commands = 0;
  #acknowledged = 0;
  #crashes = 0;
  #reads = 0;
  #changes = 0;
  #snapshots = 0;
  #steps = 0;
  /** Fatal errors that a planned fault explains. */
  readonly #expectFatal = new Set<Server>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed * 7919 + 1);
    this.#isHuntingLeaders = options.seed % 2 === 0;
    this.#initialSize = this.#isHuntingLeaders ? 5 : 3 + randomInt(this.#random, 3);
    this.#cluster = new Cluster({
      seed: options.seed,
      size: this.#initialSize,
      maxDiskDelayMs: this.#isHuntingLeaders ? 0.5 : this.#pick([0.5, 2, 8, 25]),
      clockError: CLOCK_ERROR,
      onApply: (server, applied) =>
        this.#guard(() =>
          this.#invariants.applied(server, applied, server.recorder.journal.at(-2)?.index ?? 0),
        ),
      onLog: (server, record) =>
        this.#trace(`${server.peer.id} ${record.message} ${JSON.stringify(record.fields)}`),
      node: {
        plantedBug: options.plantedBug,
        maxEntriesPerAppend: this.#isHuntingLeaders ? 1 : this.#pick([1, 2, 8, 64]),
        segmentBytes: this.#pick([300, 1500, 100_000]),
        snapshotThreshold: this.#pick([10, 40, 1000]),
        snapshotIntervalMs: this.#pick([100, 400]),
        trailingLogs: this.#pick([0, 5, 1000]),
      },
    });
    this.#cluster.add();
  }

  async run(): Promise<void> {
    await this.#begin();
    const end = this.#now() + (this.#options.chaosMs ?? DEFAULT_CHAOS_MS);
    while (this.#now() < end) {
      if (this.#isHuntingLeaders) await this.#hunt();
      else this.#disturb();
      await this.#pass(5 + this.#random.next() * 120);
    }
    await this.#recover();
  }

  result(): WorldResult {
    return {
      seed: this.#options.seed,
      proposed: this.#commands,
      acknowledged: this.#acknowledged,
      committed: this.#invariants.committedCount,
      terms: this.#invariants.termCount,
      crashes: this.#crashes,
      reads: this.#reads,
      membershipChanges: this.#changes,
      snapshots: this.#snapshots,
      steps: this.#steps,
    };
  }

  async #begin(): Promise<void> {
    const first = this.#cluster.servers.slice(0, this.#initialSize);
    for (const server of this.#cluster.servers) this.#launch(server);
    while (this.#live().length < this.#cluster.servers.length) await this.#pass(50);
    const peers = first.map((server) => server.peer);
    let ready = 0;
    for (const server of first)
      server.node?.bootstrap(peers).then(
        () => ready++,
        (error: unknown) => this.#trace(`bootstrap: ${String(error)}`),
      );
    while (ready === 0) await this.#pass(10);
  }

  #launch(server: Server): void {
    const node = this.#cluster.launch(server);
    const { life } = server;
    node.subscribe((event) => this.#observe(server, life, event));
    node.start().catch((error: unknown) => {
      if (server.life !== life) return;
      this.#violation ??= new Violation(`${server.peer.id} cannot start: ${String(error)}`);
    });
  }

  /** Waits for a leader, lets it send for a moment over a slow network, and kills it. */
  async #hunt(): Promise<void> {
    const { network } = this.#cluster;
    network.faults = { ...CALM, maxDelayMs: 40, reordering: this.#random.next() < 0.5 };
    for (let i = 0; i < 100 && this.#cluster.leader() === undefined; i++) await this.#pass(4);
    await this.#pass(this.#random.next() * 50);
    const leader = this.#cluster.leader();
    if (leader !== undefined && this.#live().length > 3) this.#crash(leader);
    if (this.#random.next() < 0.7) this.#restartSome();
    if (this.#random.next() < 0.2) this.#disturb();
  }

  #observe(server: Server, life: number, event: RaftEvent): void {
    if (event.kind !== 'fatal' || server.life !== life) return;
    if (this.#expectFatal.has(server)) {
      this.#crash(server);
      return;
    }
    this.#violation ??= new Violation(`${server.peer.id} has failed: ${event.error.message}`);
  }

  /** Moves time, with clients at work, and checks after every event. */
  async #pass(ms: number): Promise<void> {
    const { clock, servers } = this.#cluster;
    const end = clock.monotonicMs() + ms;
    let nextClient = clock.monotonicMs() + this.#random.next() * 30;
    for (;;) {
      const due = Math.min(clock.nextDueMs() ?? end, nextClient, end);
      if (due >= end && (clock.nextDueMs() ?? Number.POSITIVE_INFINITY) > end) break;
      if (due === nextClient) {
        clock.advance(Math.max(0, nextClient - clock.monotonicMs()));
        this.#work();
        nextClient += 2 + this.#random.next() * 40;
      } else {
        clock.fireNext();
      }
      await endOfTurn();
      this.#steps++;
      this.#invariants.check(servers);
      if (this.#violation !== undefined) throw this.#violation;
    }
    clock.advance(Math.max(0, end - clock.monotonicMs()));
  }

  /** A client writes or reads on whichever server says it leads. */
  #work(): void {
    if (this.#isQuiet) return;
    const leaders = this.#live().filter((server) => server.node?.status().role === 'leader');
    const server = leaders[randomInt(this.#random, leaders.length)];
    if (server === undefined) return;
    const burst = this.#random.next() < 0.1 ? 10 : 1;
    for (let i = 0; i < burst; i++) this.#propose(server);
    if (this.#random.next() < 0.2) this.#read(server);
  }

  #propose(server: Server): void {
    const padding = 'x'.repeat(this.#random.next() < 0.05 ? 700 : randomInt(this.#random, 30));
    const command = `${++this.#commands} ${padding}`;
    server.node?.propose(Buffer.from(command)).then(
      ({ index, result }) => {
        this.#acknowledged++;
        this.#guard(() => {
          if (result !== `done ${command}`) throw new Violation(`${command} was answered ${String(result)}`);
          this.#invariants.acknowledged(index, command);
        });
      },
      () => {
        // Refused, or its outcome is not known: nothing was promised.
      },
    );
  }

  #read(server: Server): void {
    const before = this.#invariants.highestAcknowledged;
    server.node?.readBarrier().then(
      (index) => {
        this.#reads++;
        this.#guard(() => this.#invariants.readConfirmed(server, index, before));
      },
      () => {
        // Not the leader any more.
      },
    );
  }

  /** One thing goes wrong, or gets better. */
  #disturb(): void {
    const choice = this.#random.next();
    if (choice < 0.16) this.#crashSome();
    else if (choice < 0.45) this.#restartSome();
    else if (choice < 0.6) this.#partition();
    else if (choice < 0.7) this.#heal();
    else if (choice < 0.8) this.#changeWeather();
    else if (choice < 0.86) this.#changeMembership();
    else if (choice < 0.91) this.#transfer();
    else if (choice < 0.95) this.#failDisk();
    else this.#snapshot();
  }

  #crashSome(): void {
    const all = this.#random.next() < 0.15;
    for (const server of all ? this.#live() : [this.#some(this.#live())])
      if (server !== undefined) this.#crash(server);
  }

  #crash(server: Server): void {
    this.#trace(`crash ${server.peer.id}`);
    this.#crashes++;
    this.#expectFatal.delete(server);
    this.#cluster.crash(server);
  }

  #restartSome(): void {
    const all = this.#random.next() < 0.3;
    const down = this.#cluster.servers.filter((server) => server.node === undefined);
    for (const server of all ? down : [this.#some(down)]) {
      if (server === undefined) continue;
      this.#trace(`restart ${server.peer.id}`);
      this.#launch(server);
    }
  }

  /** Cuts between random pairs, often in one direction only. */
  #partition(): void {
    const { servers, network } = this.#cluster;
    const side = servers.filter(() => this.#random.next() < 0.4);
    const isOneWay = this.#random.next() < 0.4;
    this.#trace(`partition ${side.map((server) => server.peer.id)}${isOneWay ? ' one way' : ''}`);
    for (const a of side)
      for (const b of servers) {
        if (side.includes(b)) continue;
        network.cut(a.peer.address, b.peer.address);
        if (!isOneWay) network.cut(b.peer.address, a.peer.address);
      }
  }

  #heal(): void {
    this.#trace('heal');
    this.#cluster.network.heal();
  }

  #changeWeather(): void {
    const faults: NetworkFaults = {
      minDelayMs: 0.1,
      maxDelayMs: this.#pick([1, 10, 60, 200]),
      loss: this.#pick([0, 0, 0.05, 0.3]),
      duplication: this.#pick([0, 0.05, 0.3]),
      reordering: this.#random.next() < 0.5,
      pausing: this.#pick([0, 0.1]),
    };
    this.#trace(`weather ${JSON.stringify(faults)}`);
    this.#cluster.network.faults = faults;
  }

  #changeMembership(): void {
    const leader = this.#cluster.leader();
    const peers = leader?.node?.status().peers ?? [];
    if (leader?.node === undefined || peers.length === 0) return;
    const outside = this.#cluster.servers.filter((server) =>
      peers.every((peer) => peer.id !== server.peer.id),
    );
    const joining = this.#some(outside);
    const leaving = this.#some(peers);
    const learner = peers.find((peer: RaftPeer) => !peer.isVoter);
    const change =
      learner !== undefined && this.#random.next() < 0.5
        ? ({ kind: 'add', peer: { ...learner, isVoter: true } } as const)
        : joining !== undefined && this.#random.next() < 0.6
          ? ({ kind: 'add', peer: { ...joining.peer, isVoter: this.#random.next() < 0.5 } } as const)
          : leaving !== undefined && peers.length > 2
            ? ({ kind: 'remove', id: leaving.id } as const)
            : undefined;
    if (change === undefined) return;
    this.#trace(`membership ${JSON.stringify(change)}`);
    leader.node.changeMembership(change).then(
      () => {
        this.#changes++;
      },
      (error: unknown) => this.#trace(`membership: ${String(error)}`),
    );
  }

  #transfer(): void {
    this.#trace('transfer');
    this.#cluster
      .leader()
      ?.node?.transferLeadership()
      .catch((error: unknown) => this.#trace(`transfer: ${String(error)}`));
  }

  #failDisk(): void {
    const server = this.#some(this.#live());
    if (server === undefined) return;
    this.#trace(`disk of ${server.peer.id} fails`);
    this.#expectFatal.add(server);
    if (this.#random.next() < 0.5) server.disk.failSyncAfter(randomInt(this.#random, 5));
    else server.disk.fillUpAfter(randomInt(this.#random, 500));
  }

  #snapshot(): void {
    const server = this.#some(this.#live());
    if (server === undefined) return;
    this.#trace(`snapshot on ${server.peer.id}`);
    server.node?.takeSnapshot().then(
      () => {
        this.#snapshots++;
      },
      (error: unknown) => this.#trace(`snapshot: ${String(error)}`),
    );
  }

  /** Faults end. The cluster must elect, commit, and every member must catch up with all that was acknowledged. */
  async #recover(): Promise<void> {
    this.#trace('recovery');
    const { network, servers } = this.#cluster;
    network.heal();
    network.faults = CALM;
    for (const server of [...this.#expectFatal]) this.#crash(server);
    for (const server of servers) if (server.node === undefined) this.#launch(server);
    const before = this.#acknowledged;
    await this.#await('no write is acknowledged', () => this.#acknowledged > before + 5);
    this.#isQuiet = true;
    await this.#await('not all have caught up', () => this.#isRecovered());
    for (const server of this.#members()) this.#invariants.checkDurability(server, server.recorder.journal);
  }

  async #await(otherwise: string, condition: () => boolean): Promise<void> {
    const end = this.#now() + RECOVERY_MS;
    while (!condition()) {
      if (this.#now() >= end)
        throw new Violation(`liveness: ${otherwise} within ${RECOVERY_MS} ms: ${this.#describe()}`);
      await this.#pass(100);
    }
  }

  #isRecovered(): boolean {
    const leader = this.#cluster.leader()?.node?.status();
    if (leader === undefined || leader.lastLogTerm !== leader.term || leader.fsmPending > 0) return false;
    if (leader.commitIndex < this.#invariants.highestAcknowledged) return false;
    return this.#members().every(
      (server) =>
        (server.node === undefined ? 0 : (coreOf(server.node)?.state.term ?? 0)) === leader.term &&
        (server.node?.status().appliedIndex ?? 0) >= this.#invariants.highestAcknowledged,
    );
  }

  #members(): readonly Server[] {
    const peers = this.#cluster.leader()?.node?.status().peers ?? [];
    return this.#cluster.servers.filter((server) => peers.some((peer) => peer.id === server.peer.id));
  }

  #describe(): string {
    return this.#cluster.servers
      .map((server) => {
        if (server.node === undefined || coreOf(server.node) === undefined) return `${server.peer.id} down`;
        const { role, term, lastLogIndex, commitIndex, appliedIndex, peers } = server.node.status();
        const ids = peers.map((peer) => peer.id + (peer.isVoter ? '' : '?'));
        const installing = coreOf(server.node)?.state.installing?.meta.index;
        const progress = [...(coreOf(server.node)?.state.leadership?.progress ?? [])].map(
          ([id, peer]) => `${id}:${peer.state} match ${peer.match} next ${peer.next}`,
        );
        return (
          `${server.peer.id} ${role} term ${term} last ${lastLogIndex} commit ${commitIndex} applied ${appliedIndex} ` +
          `of ${ids}${progress.length > 0 ? ` (${progress.join(', ')})` : ''}${installing === undefined ? '' : ` installing ${installing}`}`
        );
      })
      .join('; ');
  }

  #live(): readonly Server[] {
    return this.#cluster.servers.filter(
      (server) => server.node !== undefined && coreOf(server.node) !== undefined,
    );
  }

  #some<T>(items: readonly T[]): T | undefined {
    return items[randomInt(this.#random, items.length)];
  }

  #pick<T>(items: readonly [T, ...T[]]): T {
    return items[randomInt(this.#random, items.length)] ?? items[0];
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#violation ??= error;
    }
  }

  #now(): number {
    return this.#cluster.clock.monotonicMs();
  }

  #trace(line: string): void {
    this.#options.trace?.(`${this.#now().toFixed(1).padStart(9)} ${line}`);
  }
}

/** Lets every promise job run that the last event has led to. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
