/** Reads what agents say about the pool: the internal pool route, or what a plain Consul offers instead. */

export interface ListedAgent {
  /** Node name, '' when not known yet. */
  readonly name: string;
  readonly role: 'server' | 'client';
  readonly isAlive: boolean;
  /** Base URL without a trailing slash; '' when it announced none. */
  readonly url: string;
  readonly isLeader: boolean;
}

export interface PoolListing {
  readonly agents: readonly ListedAgent[];
  /** Whether the cluster has a leader, even when no agent of the list is marked as it. */
  readonly hasLeader: boolean;
}

export const POOL_PATH = '/v1/internal/proconsul/pool';

/** A pool larger than this is not credible and is cut. */
const MAX_AGENTS = 10_000;

/**
 * Parses the body of the pool route: `[{"node","id","role","status","httpAddress","isLeader"}]`.
 * Entries that are not of that shape are left out.
 *
 * @returns undefined when the body is not a list at all
 */
export function parsePool(text: string): PoolListing | undefined {
  const parsed = parseJson(text);
  if (!Array.isArray(parsed)) return undefined;
  const agents = parsed.slice(0, MAX_AGENTS).flatMap((entry) => {
    const agent = parseAgent(entry);
    return agent === undefined ? [] : [agent];
  });
  return { agents, hasLeader: agents.some(({ isLeader, isAlive }) => isLeader && isAlive) };
}

function parseAgent(entry: unknown): ListedAgent | undefined {
  if (!isRecord(entry)) return undefined;
  const { node, role, status, httpAddress, isLeader } = entry;
  if (typeof node !== 'string' || (role !== 'server' && role !== 'client')) return undefined;
  if (typeof status !== 'string' || typeof httpAddress !== 'string') return undefined;
  return {
    name: node,
    role,
    isAlive: status === 'alive',
    url: originOf(httpAddress),
    isLeader: isLeader === true,
  };
}

/** Node name and role out of `GET /v1/agent/self`; undefined when it is something else. */
export function parseSelf(text: string): { name: string; role: 'server' | 'client' } | undefined {
  const parsed = parseJson(text);
  const config = isRecord(parsed) ? parsed.Config : undefined;
  if (!isRecord(config) || typeof config.NodeName !== 'string') return undefined;
  return { name: config.NodeName, role: config.Server === true ? 'server' : 'client' };
}

/** Host of the leader's Raft address, out of `GET /v1/status/leader`; '' when there is none. */
export function parseLeaderAddress(text: string): string {
  const parsed = parseJson(text);
  return typeof parsed === 'string' ? parsed.replace(/:\d+$/, '') : '';
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Whatever answered is no agent; the caller treats it as no answer.
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function originOf(address: string): string {
  const url = address === '' ? null : URL.parse(address);
  return url === null || !/^https?:$/.test(url.protocol) ? '' : url.origin;
}
