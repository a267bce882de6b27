/** Which agents there are, which of them seem healthy, and which one gets a request. Pure: no clock, no I/O. */

import type { Random } from '../../shared/env.ts';
import { byRendezvous } from '../../shared/rendezvous.ts';
import { admits, type Circuit, CLOSED, shareOf, step, triedAgainAtMs } from './circuit.ts';
import type { ListedAgent } from './pool-listing.ts';

/** One agent. Everything here may change from one poll to the next; the object stays while the URL is in the pool. */
export interface PoolNode {
  readonly url: string;
  name: string;
  role: 'server' | 'client';
  isLeader: boolean;
  /** Gossip says it is alive. Configured agents that no listing mentions count as not alive. */
  isAlive: boolean;
  /** What its failures and answers have made of it. */
  circuit: Circuit;
  /** Requests under way. */
  outstanding: number;
  /** Waits and streams under way. */
  waits: number;
  /** Waits that it takes over a multiplexed connection; 0: it has none, and each wait needs a connection. */
  multiplexedWaits: number;
  /** Abandons one repeatable request each; used when the agent is reported dead, or is silent while another leads. */
  readonly abandon: Set<() => void>;
}

/** Who should get a request; the rest of the pool is second choice, except for `only`. */
export type Preference =
  /** The leader, then other servers, then clients. */
  | { readonly kind: 'leader' }
  /** Whoever is least busy. */
  | { readonly kind: 'any' }
  /** A client agent, least busy first; a server when there is none. */
  | { readonly kind: 'client' }
  /** Always the same agent for the same key while it lives, servers first. */
  | { readonly kind: 'stable'; readonly key: string }
  /** This agent and no other. */
  | { readonly kind: 'only'; readonly url: string };

/** Requests under way to one agent, waits not counted; beyond it others get them. */
export const MAX_REQUESTS_PER_AGENT = 4096;
/** Agents that may be out for slowness alone: one in three. */
const MAX_SLOW_SHARE = 1 / 3;

/** Invariant: `#nodes` holds one entry per URL, and at most one node has `isLeader`. */
export class NodePool {
  readonly #nodes = new Map<string, PoolNode>();
  readonly #seeds: readonly string[];
  readonly #random: Random;

  constructor(seeds: readonly string[], random: Random) {
    this.#seeds = seeds;
    this.#random = random;
    for (const url of seeds) this.#nodes.set(url, newNode(url));
  }

  /**
   * Takes over a listing. Agents that it doesn't mention go, except configured ones, which stay as a last resort.
   *
   * @returns the URLs that went
   */
  apply(listing: readonly ListedAgent[]): string[] {
    const listed = new Map(listing.filter(({ url }) => url !== '').map((agent) => [agent.url, agent]));
    for (const [url, agent] of listed) this.#update(url, agent);
    const gone: string[] = [];
    for (const node of this.#nodes.values()) {
      if (listed.has(node.url)) continue;
      markDead(node);
      // Whoever was there may live elsewhere by now: the address alone says nothing about the agent of that name.
      node.name = '';
      if (this.#seeds.includes(node.url)) continue;
      this.#nodes.delete(node.url);
      gone.push(node.url);
    }
    return gone;
  }

  nodes(): readonly PoolNode[] {
    return [...this.#nodes.values()];
  }

  byName(name: string): PoolNode | undefined {
    const lower = name.toLowerCase();
    return this.nodes().find((node) => node.name.toLowerCase() === lower);
  }

  leader(nowMs: number): PoolNode | undefined {
    for (const node of this.#nodes.values()) if (node.isLeader && isUsable(node, nowMs)) return node;
    return undefined;
  }

  /** Who was last said to lead, whether or not it answers. */
  believedLeader(): PoolNode | undefined {
    for (const node of this.#nodes.values()) if (node.isLeader) return node;
    return undefined;
  }

  /** Agents that services may live on: usable clients, or servers when there is no usable client. */
  owners(nowMs: number): readonly PoolNode[] {
    const usable = this.usable(nowMs);
    const clients = usable.filter(({ role }) => role === 'client');
    return clients.length > 0 ? clients : usable;
  }

  /** Agents that the last listing named and reported dead, unless one of that name lives at another address. */
  dead(): readonly PoolNode[] {
    const dead = this.nodes().filter(({ isAlive, name }) => !isAlive && name !== '');
    return dead.filter(({ name }) => !this.nodes().some((node) => node.isAlive && node.name === name));
  }

  usable(nowMs: number): readonly PoolNode[] {
    return this.nodes().filter((node) => isUsable(node, nowMs));
  }

  /** The connection worked: whatever it answered, the agent is there. */
  noteSuccess(node: PoolNode, nowMs: number): void {
    node.circuit = step(node.circuit, 'answered', nowMs, 0);
  }

  /** The connection failed: the agent is left alone for 0.5 s, doubling up to 30 s, ± 20 %. */
  noteFailure(node: PoolNode, nowMs: number): void {
    node.circuit = step(node.circuit, 'broken', nowMs, this.#random.next());
  }

  /** It didn't answer in time; the third time in a row counts as a failure. */
  noteSilence(node: PoolNode, nowMs: number): void {
    node.circuit = step(node.circuit, 'silent', nowMs, this.#random.next());
  }

  /** It answers far more slowly than the others. Ignored when too many are out already. @returns whether it is out now */
  noteSlow(node: PoolNode, nowMs: number): boolean {
    const alive = this.nodes().filter(({ isAlive }) => isAlive);
    const out = alive.filter(({ circuit }) => circuit.state !== 'closed').length;
    if (out + 1 > alive.length * MAX_SLOW_SHARE) return false;
    node.circuit = step(node.circuit, 'slow', nowMs, this.#random.next());
    return true;
  }

  /** A request is on its way: where the circuit was open, it is the one trial. */
  noteSent(node: PoolNode, nowMs: number): void {
    if (node.circuit.state !== 'closed') node.circuit = step(node.circuit, 'trial', nowMs, 0);
  }

  /** Alive agents whose circuits are open and whose time is over: to be probed. */
  dueForTrial(nowMs: number): readonly PoolNode[] {
    return this.nodes().filter((node) => node.isAlive && admits(node.circuit, nowMs) === 'trial');
  }

  /** It said itself that it doesn't lead, or that nobody does. */
  noteLeaderLost(node: PoolNode): void {
    node.isLeader = false;
  }

  /**
   * Chooses an agent. Healthy ones come first, then agents that are ejected or reported dead: a pool that looks dead
   * may only look so.
   *
   * @param maxWaits waits that one agent may hold unless they are multiplexed; Infinity when the request is no wait
   * @returns undefined when every agent of the preference was tried
   */
  pick(
    prefer: Preference,
    tried: ReadonlySet<PoolNode>,
    nowMs: number,
    maxWaits: number,
  ): PoolNode | undefined {
    if (prefer.kind === 'only') {
      const node = this.#nodes.get(prefer.url);
      return node === undefined || tried.has(node) ? undefined : node;
    }
    const open: PoolNode[] = [];
    const doubtful: PoolNode[] = [];
    for (const node of this.#nodes.values()) {
      if (tried.has(node) || isFull(node, maxWaits)) continue;
      (isUsable(node, nowMs) ? open : doubtful).push(node);
    }
    if (open.length > 0) return this.#choose(prefer, open, nowMs);
    return doubtful.sort((a, b) => triedAgainAtMs(a.circuit) - triedAgainAtMs(b.circuit))[0];
  }

  #choose(prefer: Exclude<Preference, { kind: 'only' }>, open: readonly PoolNode[], nowMs: number) {
    switch (prefer.kind) {
      case 'leader':
        return open.find(({ isLeader }) => isLeader) ?? this.#leastBusy(withRole(open, 'server'), nowMs);
      case 'any':
        return this.#leastBusy(open, nowMs);
      case 'client':
        return this.#leastBusy(withRole(open, 'client'), nowMs);
      case 'stable':
        return byRendezvous(prefer.key, withRole(open, 'server'), ({ name, url }) => name || url)[0];
    }
  }

  /** Two random candidates, the less loaded one: near optimal without a herd (Mitzenmacher 2001). */
  #leastBusy(candidates: readonly PoolNode[], nowMs: number): PoolNode | undefined {
    if (candidates.length === 1) return candidates[0];
    const first = Math.floor(this.#random.next() * candidates.length);
    const step = 1 + Math.floor(this.#random.next() * (candidates.length - 1));
    const a = candidates[first];
    const b = candidates[(first + step) % candidates.length];
    if (a === undefined || b === undefined) return a ?? b;
    return loadOf(a, nowMs) <= loadOf(b, nowMs) ? a : b;
  }

  #update(url: string, agent: ListedAgent): void {
    const node = this.#nodes.get(url) ?? newNode(url);
    this.#nodes.set(url, node);
    node.name = agent.name;
    node.role = agent.role;
    node.isLeader = agent.isLeader && agent.isAlive;
    if (!agent.isAlive) markDead(node);
    node.isAlive = agent.isAlive;
  }
}

export function isUsable(node: PoolNode, nowMs: number): boolean {
  return node.isAlive && admits(node.circuit, nowMs) !== 'none';
}

function isFull({ outstanding, waits, multiplexedWaits }: PoolNode, maxWaits: number): boolean {
  return waits >= Math.max(maxWaits, multiplexedWaits) || outstanding - waits >= MAX_REQUESTS_PER_AGENT;
}

/** Reads that hang on a dead agent are given up, so that they can go on elsewhere. */
function markDead(node: PoolNode): void {
  const wasAlive = node.isAlive;
  node.isAlive = false;
  node.isLeader = false;
  if (wasAlive) abandonRequests(node);
}

/** What may be repeated and still waits for this agent goes on elsewhere. */
export function abandonRequests(node: PoolNode): void {
  for (const abandon of [...node.abandon]) abandon();
}

/** Requests under way, weighed up while an agent comes back: it starts at a tenth of its share. */
function loadOf(node: PoolNode, nowMs: number): number {
  return (node.outstanding + 1) / shareOf(node.circuit, nowMs);
}

/** Those with the role, or all when there is none. */
function withRole(nodes: readonly PoolNode[], role: 'server' | 'client'): readonly PoolNode[] {
  const fitting = nodes.filter((node) => node.role === role);
  return fitting.length > 0 ? fitting : nodes;
}

/** Until a listing says otherwise, a configured agent counts as an alive server. */
function newNode(url: string): PoolNode {
  return {
    url,
    name: '',
    role: 'server',
    isLeader: false,
    isAlive: true,
    circuit: CLOSED,
    outstanding: 0,
    waits: 0,
    multiplexedWaits: 0,
    abandon: new Set(),
  };
}
