/**
 * Floating services under faults: the real state machine, the real leader's duties and the real agents with their
 * anti-entropy, in one process on simulated time. A run is a seed.
 */

import { createLocalAgent } from '../../node/agent/local/local-agent.ts';
import type { LocalAgent } from '../../node/agent/local/types.ts';
import type { MemberStatus } from '../../node/gossip/types.ts';
import { catalogRegister } from '../../node/rpc/endpoints.ts';
import { floatingAssign, floatingDeregister, floatingRegister } from '../../node/rpc/floating-endpoints.ts';
import { HTTP_ADDRESS_TAG } from '../../node/rpc/server-members.ts';
import type { LocalState } from '../../node/server/catalog-reconciler.ts';
import type { LeaderDuties } from '../../node/server/leader-duties.ts';
import { clientTags, FakeLan, fakeMember, serverTags } from '../../node/server/testing/fake-gossip.ts';
import { nameKey } from '../../node/state/byte-text.ts';
import { placedService } from '../../node/state/floating-records.ts';
import { randomInt } from '../../shared/env.ts';
import { createLogger, formatLogLine, type Logger } from '../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { EMPTY_CHECK_DEFINITION, EMPTY_SERVICE_DEFINITION } from '../../shared/types/definitions.ts';
import type { FloatingMove } from '../../shared/types/floating.ts';
import type { DeregisterRequest, RegisterRequest } from '../../shared/types/v1.ts';
import { createCalls, readAt, writeAt } from './floating-calls.ts';
import { History, Violation } from './floating-history.ts';
import { createLeaderDuties } from './floating-leader.ts';
import { ReplicatedLog } from './floating-log.ts';

export type FloatingBug =
  /** Carriers tell the catalog without saying by which placement. */
  | 'no-fencing'
  /** A move takes the service away first and places it anew afterwards. */
  | 'move-in-two-commands'
  /** Anti-entropy takes away whatever the agent doesn't know of. */
  | 'tidy-anti-entropy'
  /** A dead node is marked first, its services are moved then. */
  | 'death-before-move';

export interface FloatingRun {
  readonly seed: number;
  readonly chaosMs?: number;
  readonly bug?: FloatingBug | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export interface FloatingResult {
  readonly commands: number;
  readonly registered: number;
  readonly deregistered: number;
  readonly moved: number;
}

const SERVERS = ['s1', 's2', 's3'];
const AGENTS = ['c1', 'c2', 'c3'];
const IDS = ['f1', 'f2', 'f3', 'f4'];
const CHAOS_MS = 12_000;
/** Until the slowest retry of anti-entropy has come. */
const CALM_MS = 35_000;

interface SimulatedAgent {
  readonly name: string;
  local: LocalAgent | undefined;
  isCutOff: boolean;
  /** Bumped by everything that happens to it, so that what is due of an earlier life does not happen. */
  life: number;
}

/** @throws Violation that names the seed */
export async function runFloatingWorld(run: FloatingRun): Promise<FloatingResult> {
  const world = new FloatingWorld(run);
  try {
    return await world.run();
  } catch (error) {
    if (error instanceof Violation) throw new Violation(`seed ${run.seed}: ${error.message}`);
    throw error;
  } finally {
    await world.end();
  }
}

/** Invariant: one agent at least is up, reachable and known to be so at any time. */
class FloatingWorld {
  readonly #env: SimulatedEnv;
  readonly #run: FloatingRun;
  readonly #log: ReplicatedLog;
  readonly #lan = new FakeLan();
  readonly #history: History;
  readonly #logger: Logger;
  readonly #agents: readonly SimulatedAgent[];
  #duties: LeaderDuties | undefined;
  #violation: Violation | undefined;
  #isChaos = true;
  #commands = 0;
  #registered = 0;
  #deregistered = 0;
  #moved = 0;

  constructor(run: FloatingRun) {
    this.#run = run;
    this.#env = simulatedEnv(run.seed);
    const { clock } = this.#env;
    this.#history = new History(IDS, () => clock.monotonicMs());
    this.#log = new ReplicatedLog(SERVERS.length, this.#env, (store) => {
      this.#commands++;
      try {
        this.#history.check(store);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        this.#violation ??= error;
      }
    });
    const { trace } = run;
    const sink = {
      wants: () => trace !== undefined,
      write: (record: Parameters<typeof formatLogLine>[0]) => trace?.(formatLogLine(record).slice(14)),
    };
    this.#logger = createLogger('sim', [sink], () => clock.nowMs());
    this.#agents = AGENTS.map((name) => ({ name, local: undefined, isCutOff: false, life: 0 }));
  }

  async run(): Promise<FloatingResult> {
    for (const [at, name] of SERVERS.entries())
      this.#lan.set(fakeMember(name, serverTags(uuid(100 + at), 8300 + at)));
    this.#elect();
    for (const agent of this.#agents) this.#startAgent(agent);
    await this.#advance(2000);
    this.#scheduleTrouble();
    this.#scheduleElection();
    this.#scheduleRequest();
    await this.#advance(this.#run.chaosMs ?? CHAOS_MS);
    this.#isChaos = false;
    for (const agent of this.#agents) {
      agent.isCutOff = false;
      agent.life++;
      if (agent.local === undefined) this.#startAgent(agent);
      else this.#tell(agent, 'alive', 500);
    }
    if (this.#log.leader === undefined) this.#elect();
    await this.#advance(CALM_MS);
    this.#checkCalm();
    const [commands, registered] = [this.#commands, this.#registered];
    return { commands, registered, deregistered: this.#deregistered, moved: this.#moved };
  }

  async end(): Promise<void> {
    this.#isChaos = false;
    this.#duties?.stop();
    for (const agent of this.#agents) await agent.local?.stop();
  }

  async #advance(ms: number): Promise<void> {
    const { clock } = this.#env;
    for (let left = ms; left > 0; left -= 500) {
      await clock.advanceAsync(Math.min(left, 500));
      if (this.#violation !== undefined) throw this.#violation;
    }
  }

  #later(maxMs: number, minMs: number, act: () => void): void {
    const { clock, random } = this.#env;
    clock.setTimer(minMs + random.next() * (maxMs - minMs), () => this.#isChaos && act());
  }

  #pick<T>(items: readonly T[]): T {
    return items[randomInt(this.#env.random, items.length)] as T;
  }

  // What happens to agents.

  #startAgent(agent: SimulatedAgent): void {
    const { name } = agent;
    const id = uuid(AGENTS.indexOf(name));
    const life = ++agent.life;
    const local = createLocalAgent({
      nodeName: name,
      nodeId: id,
      nodeAddress: '127.0.0.1',
      taggedAddresses: {},
      nodeMeta: {},
      datacenter: 'dc1',
      dataDir: undefined,
      backend: createCalls({
        log: this.#log,
        env: this.#env,
        isCutOff: () => agent.isCutOff || agent.life < life,
        tamper: (endpoint, args) => tampered(this.#run.bug, endpoint, args),
        lossPercent: 2,
      }),
      env: this.#env,
      log: this.#logger.named(name),
      clusterSize: () => 6,
      enableScriptChecks: false,
      enableLocalScriptChecks: false,
      fullSyncIntervalMs: 3000,
    });
    agent.local = local;
    void local.start({ services: [], checks: [] });
    this.#tell(agent, 'alive', 300);
  }

  /** Gossip learns something about an agent, unless it is no longer true by then. */
  #tell(agent: SimulatedAgent, status: MemberStatus, afterMs: number): void {
    const { life } = agent;
    this.#env.clock.setTimer(afterMs, () => {
      if (agent.life !== life) return;
      const tags = { ...clientTags(uuid(AGENTS.indexOf(agent.name))), [HTTP_ADDRESS_TAG]: '127.0.0.1:1' };
      this.#lan.set({ ...fakeMember(agent.name, tags), status });
    });
  }

  #scheduleTrouble(): void {
    this.#later(2500, 200, () => {
      const agent = this.#pick(this.#agents);
      if (this.#canSpare(agent)) this.#trouble(agent);
      this.#scheduleTrouble();
    });
  }

  #canSpare(agent: SimulatedAgent): boolean {
    return this.#isWell(agent) && this.#agents.some((other) => other !== agent && this.#isWell(other));
  }

  #isWell({ name, local, isCutOff }: SimulatedAgent): boolean {
    const status = this.#lan.members().find((member) => member.name === name)?.status;
    return local !== undefined && !isCutOff && status === 'alive';
  }

  #trouble(agent: SimulatedAgent): void {
    const detectMs = 500 + this.#env.random.next() * 3500;
    const kind = this.#pick(['crash', 'crash', 'cut', 'cut', 'leave'] as const);
    this.#logger.info('trouble', { agent: agent.name, kind });
    agent.life++;
    if (kind === 'cut') {
      agent.isCutOff = true;
      // The calls of this life go on; only the network is away.
      agent.life--;
      const { life } = agent;
      this.#env.clock.setTimer(detectMs, () => {
        if (agent.isCutOff && agent.life === life) this.#lan.setStatus(agent.name, 'failed');
      });
      this.#later(9000, 200, () => {
        if (agent.life !== life) return;
        agent.isCutOff = false;
        this.#tell(agent, 'alive', 300);
      });
      return;
    }
    const { local } = agent;
    agent.local = undefined;
    void local?.stop();
    this.#tell(agent, kind === 'leave' ? 'left' : 'failed', kind === 'leave' ? 50 : detectMs);
    const { life } = agent;
    this.#later(9000, 200, () => {
      if (agent.life === life) this.#startAgent(agent);
    });
  }

  // Leaders.

  #scheduleElection(): void {
    this.#later(6000, 1500, () => {
      this.#duties?.stop();
      this.#log.depose();
      this.#env.clock.setTimer(this.#env.random.next() * 1500, () => {
        if (this.#log.leader === undefined) this.#elect();
      });
      this.#scheduleElection();
    });
  }

  #elect(): void {
    const server = randomInt(this.#env.random, SERVERS.length);
    this.#duties?.stop();
    this.#log.elect(server);
    this.#logger.info('elected', { server: SERVERS[server] ?? '', term: this.#log.term });
    const nodeName = SERVERS[server] ?? '';
    this.#duties = createLeaderDuties({
      nodeName,
      ownId: uuid(100 + server),
      term: this.#log.term,
      lan: this.#lan.pool(nodeName),
      state: this.#leaderState(server, this.#log.term),
      env: this.#env,
      log: this.#logger.named(nodeName),
    });
    void this.#duties.start();
  }

  #leaderState(server: number, term: number): LocalState {
    const [log, env] = [this.#log, this.#env];
    const store = log.replicas[server]?.store;
    if (store === undefined) throw new Error(`no server ${server}`);
    const write: LocalState['write'] = async (endpoint, args) => {
      const result = await writeAt(
        log,
        env,
        endpoint,
        tampered(this.#run.bug, endpoint.name, args) as never,
        term,
      );
      if (endpoint.name === floatingAssign.name) this.#moved += (result as unknown as string[]).length;
      return result;
    };
    const read: LocalState['read'] = (endpoint, args) => readAt(store, env, endpoint, args).value;
    if (this.#run.bug === 'death-before-move') return { read, write: lateMoves(write, this.#env) };
    if (this.#run.bug === 'move-in-two-commands') return { read, write: this.#splitMoves(write, server) };
    return { read, write };
  }

  /** Planted: away first, there afterwards. */
  #splitMoves(write: LocalState['write'], server: number): LocalState['write'] {
    return async (endpoint, args) => {
      if (endpoint.name !== floatingAssign.name) return write(endpoint, args);
      const tables = this.#log.replicas[server]?.store.tables;
      const moved: string[] = [];
      for (const { id, node } of (args as unknown as { moves: readonly FloatingMove[] }).moves) {
        const record = tables?.floating.get(nameKey(id));
        if (tables === undefined || record === undefined) continue;
        const { parts } = placedService(tables, record);
        await write(floatingDeregister, { id, generation: 0, release: false });
        const registration = { ...NODE, Node: node };
        await write(floatingRegister, { node: registration, parts, replaceChecks: true });
        moved.push(id);
      }
      return moved as never;
    };
  }

  // What users do.

  #scheduleRequest(): void {
    this.#later(300, 20, () => {
      this.#request();
      this.#scheduleRequest();
    });
  }

  #request(): void {
    const agent = this.#pick(this.#agents);
    const { local } = agent;
    if (local === undefined) return;
    const id = this.#pick(IDS);
    const kind = this.#pick(['register', 'register', 'deregister', 'report', 'report', 'check'] as const);
    if (kind === 'register') void this.#register(local, id);
    else if (kind === 'deregister') void this.#deregister(local, id);
    else
      for (const { local: carrier } of this.#agents)
        if (carrier?.services().has(id)) this.#touch(carrier, id, kind);
  }

  async #register(local: LocalAgent, id: string): Promise<void> {
    const check = { ...EMPTY_CHECK_DEFINITION, id: `${id}-ttl`, status: 'passing', ttlMs: 3_600_000 };
    const port = randomInt(this.#env.random, 3);
    const definition = { ...EMPTY_SERVICE_DEFINITION, id, name: 'floats', port, checks: [check] };
    const replaceExistingChecks = this.#pick([true, false]);
    const request = local.registerService(definition, {
      source: 'api',
      replaceExistingChecks,
      isFloating: true,
    });
    if (!(await this.#history.follow('register', id, request))) return;
    this.#registered++;
  }

  async #deregister(local: LocalAgent, id: string): Promise<void> {
    const request = local.deregisterService(id, { isFloating: true });
    if (await this.#history.follow('deregister', id, request)) this.#deregistered++;
  }

  /** What may fail does so at an agent that is not, or no longer, the carrier. */
  #touch(local: LocalAgent, id: string, kind: 'report' | 'check'): void {
    const ignore = () => undefined;
    if (kind === 'report') {
      const status = this.#pick(['passing', 'warning'] as const);
      local.updateTtl(`${id}-ttl`, status, `at ${this.#env.clock.monotonicMs()}`).catch(ignore);
      return;
    }
    const extra = {
      ...EMPTY_CHECK_DEFINITION,
      id: `${id}-extra`,
      name: 'extra',
      serviceId: id,
      ttlMs: 3_600_000,
    };
    if (this.#pick([true, false])) local.registerCheck({ ...extra, status: 'passing' }).catch(ignore);
    else local.deregisterCheck(`${id}-extra`).catch(ignore);
  }

  /** Every service is where it is placed and nowhere else, and the catalog says of it what its carrier says. */
  #checkCalm(): void {
    const leader = this.#log.leader;
    const store = leader === undefined ? undefined : this.#log.replicas[leader]?.store;
    if (store === undefined) throw new Violation('nobody leads in the end');
    this.#history.check(store);
    for (const id of IDS) {
      const record = store.tables.floating.get(nameKey(id));
      for (const { name, local } of this.#agents) {
        const isHere = local?.services().has(id) ?? false;
        if (isHere !== (record?.node === name))
          throw new Violation(`${name} ${isHere ? 'still carries' : 'does not carry'} ${id} in the end`);
        if (!isHere || record === undefined) continue;
        const held = placedService(store.tables, record).parts.flatMap(({ checks }) => checks);
        const said = [...(local?.checks().values() ?? [])].filter(({ ServiceID }) => ServiceID === id);
        const texts = [held.map(({ check }) => statusText(check)), said.map(statusText)];
        const [catalog, agent] = texts.map((lines) => lines.toSorted().join());
        if (catalog !== agent)
          throw new Violation(`${id} is ${agent} at ${name} and ${catalog} in the catalog`);
      }
    }
  }
}

function statusText({ CheckID, Status }: { readonly CheckID: string; readonly Status: string }): string {
  return `${CheckID} ${Status}`;
}

const NODE: RegisterRequest = {
  Datacenter: 'dc1',
  ID: '',
  Node: '',
  Address: '127.0.0.1',
  TaggedAddresses: null,
  NodeMeta: null,
  Service: null,
  Check: null,
  Checks: null,
  SkipNodeUpdate: true,
};

/** Planted: the mover believes that everything has moved, long before it has. */
function lateMoves(write: LocalState['write'], { clock }: SimulatedEnv): LocalState['write'] {
  return async (endpoint, args) => {
    if (endpoint.name !== floatingAssign.name) return write(endpoint, args);
    clock.setTimer(500, () => void write(endpoint, args).catch(() => undefined));
    return (args as unknown as { moves: readonly FloatingMove[] }).moves.map(({ id }) => id) as never;
  };
}

/** What a planted fault leaves of a request. */
function tampered(bug: FloatingBug | undefined, endpoint: string, args: unknown): unknown {
  if (bug === 'no-fencing' && endpoint === catalogRegister.name) {
    const { Floating: _fence, ...rest } = args as RegisterRequest;
    return rest;
  }
  if (bug === 'death-before-move' && endpoint === catalogRegister.name) {
    const { UnlessFloating: _guard, ...rest } = args as RegisterRequest;
    return rest;
  }
  if (bug === 'tidy-anti-entropy' && endpoint === 'Catalog.Deregister') {
    const { KeepFloating: _kept, ...rest } = args as DeregisterRequest;
    return rest;
  }
  return args;
}

function uuid(number: number): string {
  return `9bde2b94-6ad3-bcb1-ef2e-${String(number).padStart(12, '0')}`;
}
