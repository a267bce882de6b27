/** Finds the agent that a service or check lives on: by memory, verified; else by asking every live agent. */

import { byRendezvous } from '../../shared/rendezvous.ts';
import { type Answer, EMPTY, type HeaderList, isWhole } from '../exchange/exchange.ts';
import type { NodePool, PoolNode } from '../upstream/node-pool.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import type { Placements } from './placements.ts';

export type OwnedKind = 'service' | 'check';

/** Asks one agent a `/v1/agent` question. undefined: it could not be reached. */
export type AskAgent = (node: PoolNode, target: string, headers: HeaderList) => Promise<Answer | undefined>;

/** Who asks: the token decides what an agent lets him see. */
export interface Asker {
  readonly headers: HeaderList;
  /** The `token` query parameter, raw, or ''. */
  readonly token: string;
}

export interface Owners {
  /** The remembered owner, if it is usable. Not verified. */
  remembered(kind: OwnedKind, id: string): PoolNode | undefined;
  remember(kind: OwnedKind, id: string, node: PoolNode): void;
  forget(kind: OwnedKind, id: string): void;
  /** Whether the agent says that it has it. */
  has(node: PoolNode, kind: OwnedKind, id: string, asker: Asker): Promise<boolean>;
  /** The agent that carries it, if it floats; `away`: its carrier is not usable. */
  placed(kind: OwnedKind, id: string, asker: Asker): Promise<PoolNode | 'away' | undefined>;
  /**
   * The agent that has it: the remembered one when it still has it, who carries it, or else the one with the best
   * rendezvous score of all that say so.
   */
  locate(kind: OwnedKind, id: string, asker: Asker): Promise<PoolNode | 'away' | undefined>;
  /** Every usable agent that has it, best rendezvous score first: for what must not be left behind anywhere. */
  locateAll(kind: OwnedKind, id: string, asker: Asker): Promise<readonly PoolNode[]>;
  /** Where something new belongs. undefined: the pool is empty. */
  chosen(id: string): PoolNode | undefined;
}

export interface OwnersOptions {
  readonly pool: NodePool;
  readonly ask: AskAgent;
  readonly placements: Placements;
  readonly nowMs: () => number;
  /** Owners remembered; the least recently used go first. */
  readonly maxRemembered: number;
}

/** Agents asked at the same time. */
const PARALLEL = 64;

export function createOwners({ pool, ask, placements, nowMs, maxRemembered }: OwnersOptions): Owners {
  const memory = new Map<string, PoolNode>();
  const has = async (node: PoolNode, kind: OwnedKind, id: string, asker: Asker): Promise<boolean> => {
    const askFor = (target: string) => ask(node, withToken(target, asker.token), asker.headers);
    if (kind === 'service')
      return (await askFor(`/v1/agent/service/${encodeURIComponent(id)}`))?.status === 200;
    const filtered = await askFor(`/v1/agent/checks${checkFilter(id)}`);
    // An agent that can't filter says 500; its whole list tells as well.
    const listed = filtered?.status === 500 ? await askFor('/v1/agent/checks') : filtered;
    return listed?.status === 200 && listsCheck(listed, id);
  };
  const owners: Owners = {
    remembered: (kind, id) => {
      const node = memory.get(`${kind} ${id}`);
      return node !== undefined && pool.usable(nowMs()).includes(node) ? node : undefined;
    },
    remember: (kind, id, node) => {
      const key = `${kind} ${id}`;
      memory.delete(key);
      memory.set(key, node);
      const oldest = memory.size > maxRemembered ? memory.keys().next().value : undefined;
      if (oldest !== undefined) memory.delete(oldest);
    },
    forget: (kind, id) => memory.delete(`${kind} ${id}`),
    has,
    placed: async (kind, id, asker) => {
      const name = await placements.find(kind, id, asker);
      if (name === undefined) return undefined;
      const node = pool.byName(name);
      return node !== undefined && pool.usable(nowMs()).includes(node) ? node : 'away';
    },
    locate: async (kind, id, asker) => {
      const known = owners.remembered(kind, id);
      if (known !== undefined && (await has(known, kind, id, asker))) return known;
      return (await owners.placed(kind, id, asker)) ?? (await owners.locateAll(kind, id, asker))[0];
    },
    locateAll: async (kind, id, asker) => {
      const nodes = liveAgents(pool, nowMs());
      const answers = await mapBounded(nodes, PARALLEL, (node) => has(node, kind, id, asker));
      const found = nodes.filter((_, i) => answers[i]);
      const ordered = byRendezvous(id, found, nameOf);
      if (ordered[0] === undefined) owners.forget(kind, id);
      else owners.remember(kind, id, ordered[0]);
      return ordered;
    },
    chosen: (id) => {
      const nodes = pool.owners(nowMs());
      return byRendezvous(id, nodes.length > 0 ? nodes : pool.nodes(), nameOf)[0];
    },
  };
  return owners;
}

/** Usable agents by name, so that merges go the same way everywhere; all of them when none seems usable. */
export function liveAgents(pool: NodePool, nowMs: number): readonly PoolNode[] {
  const usable = pool.usable(nowMs);
  return (usable.length > 0 ? usable : pool.nodes()).toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export function nameOf(node: PoolNode): string {
  return node.name === '' ? node.url : node.name;
}

/** `map` with at most `limit` calls under way. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  act: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += limit)
    results.push(...(await Promise.all(items.slice(at, at + limit).map(act))));
  return results;
}

/** The target with the caller's raw `token` pair in its query. */
export function withToken(target: string, token: string): string {
  return token === '' ? target : `${target}${target.includes('?') ? '&' : '?'}${token}`;
}

/** The filter language has no escape for its quotes; an ID with both kinds is looked for in the whole list. */
function checkFilter(id: string): string {
  if (!id.includes('`')) return `?filter=${encodeURIComponent(`CheckID == \`${id}\``)}`;
  return /["\\\n]/.test(id) ? '' : `?filter=${encodeURIComponent(`CheckID == "${id}"`)}`;
}

function listsCheck(answer: Answer, id: string): boolean {
  const listed = parseJson(new TextDecoder().decode(isWhole(answer) ? answer.body : EMPTY));
  return isRecord(listed) && Object.hasOwn(listed, id);
}
