/** DNS lookups answered by HTTP reads through the pool; a result keeps its identity while the agent's answer is unchanged. */

import type { DnsLookups, PreparedQueryAnswer, ServiceLookup } from '../../shared/dns/lookups.ts';
import { ConsulError, noPathToDatacenter, notFound } from '../../shared/errors.ts';
import type { HealthEntry, Node, ServiceNode } from '../../shared/types/v1.ts';
import type { WholeAnswer } from '../exchange/exchange.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';

/** Does one GET through the pool. @throws ConsulError when no agent answers */
export type ReadThrough = (target: string, headers: readonly string[]) => Promise<WholeAnswer>;

export interface HttpLookupsOptions {
  readonly read: ReadThrough;
  /** ACL token of the client, '' for none. */
  readonly token: string;
  /** Answers kept to compare with; the least recently used go first. */
  readonly maxKept: number;
}

interface Kept {
  readonly body: Uint8Array;
  readonly value: unknown;
}

/** Services searched for an address when the agents have no list of everything. */
const MAX_SEARCHED_SERVICES = 500;

export function createHttpLookups({ read, token, maxKept }: HttpLookupsOptions): DnsLookups {
  const kept = new Map<string, Kept>();
  const headers = token === '' ? [] : ['X-Consul-Token', token];

  /** The parsed answer: the very same value as before when the body is. undefined for 404. */
  const ask = async (target: string, extra: readonly string[] = []): Promise<unknown> => {
    const answer = await read(target, [...headers, ...extra]);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw lookupError(answer);
    const known = kept.get(target);
    kept.delete(target);
    const entry =
      known !== undefined && isSameBytes(known.body, answer.body)
        ? known
        : { body: answer.body, value: parseJson(new TextDecoder().decode(answer.body)) };
    kept.set(target, entry);
    const oldest = kept.size > maxKept ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    return entry.value;
  };

  const searchServices = async (address: string): Promise<string | undefined> => {
    const services = await ask('/v1/catalog/services?stale');
    const names = isRecord(services) ? Object.keys(services).sort() : [];
    for (const name of names.slice(0, MAX_SEARCHED_SERVICES)) {
      const found = await ask(
        `/v1/catalog/service/${encodeURIComponent(name)}?stale&${equals('ServiceAddress', address)}`,
      );
      const instance = listOf<ServiceNode>(found)[0];
      if (instance !== undefined) return instance.ServiceName;
    }
    return undefined;
  };

  return {
    node: async (name, datacenter) => {
      const found = await ask(
        `/v1/catalog/node/${encodeURIComponent(name)}?stale${inDatacenter(datacenter)}`,
      );
      return isRecord(found) && isRecord(found.Node) ? asNode(found.Node) : undefined;
    },
    service: async (lookup) => {
      const found = await ask(serviceTarget(lookup));
      return Array.isArray(found) ? (found as readonly HealthEntry[]) : NO_ENTRIES;
    },
    preparedQuery: async (nameOrId, datacenter, clientAddress) => {
      const target = `/v1/query/${encodeURIComponent(nameOrId)}/execute?stale${inDatacenter(datacenter)}`;
      const forwarded = clientAddress === '' ? [] : ['X-Forwarded-For', clientAddress];
      return asQueryAnswer(await ask(target, forwarded));
    },
    nodeByAddress: async (address) => {
      return listOf<Node>(await ask(`/v1/catalog/nodes?stale&${equals('Address', address)}`))[0];
    },
    serviceByAddress: async (address) => {
      const found = await ask(`/v1/internal/ui/nodes?stale&${equals('Services.Address', address)}`);
      if (found === undefined) return searchServices(address);
      const services = listOf<{ Services: ServiceBrief[] | null }>(found).flatMap(
        (node) => node.Services ?? [],
      );
      return services.find((service) => service.Address === address)?.Service;
    },
  };
}

interface ServiceBrief {
  readonly Service: string;
  readonly Address: string;
}

const NO_ENTRIES: readonly HealthEntry[] = [];

function serviceTarget({ service, tag, kind, datacenter }: ServiceLookup): string {
  const tagged = tag === undefined ? '' : `&tag=${encodeURIComponent(tag)}`;
  return `/v1/health/${kind}/${encodeURIComponent(service)}?stale${tagged}${inDatacenter(datacenter)}`;
}

function inDatacenter(datacenter: string): string {
  return datacenter === '' ? '' : `&dc=${encodeURIComponent(datacenter)}`;
}

/** The filter language has no escape for quotes; an address has none either, so what has is no address. */
function equals(selector: string, value: string): string {
  const plain = value.replace(/["\\\n]/g, '');
  return `filter=${encodeURIComponent(`${selector} == "${plain}"`)}`;
}

// Agents are trusted to send the shapes of the reference; only what decides between answers is checked.
function listOf<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [];
}

/** The object itself, not a copy: its identity tells the resolver that nothing changed. */
function asNode(value: Record<string, unknown>): Node | undefined {
  return typeof value.Node === 'string' && typeof value.Address === 'string'
    ? (value as unknown as Node)
    : undefined;
}

function asQueryAnswer(value: unknown): PreparedQueryAnswer | undefined {
  if (!isRecord(value)) return undefined;
  const { Service, Datacenter, Nodes, DNS } = value;
  return {
    service: typeof Service === 'string' ? Service : '',
    datacenter: typeof Datacenter === 'string' ? Datacenter : '',
    nodes: listOf<HealthEntry>(Nodes),
    ttl: isRecord(DNS) && typeof DNS.TTL === 'string' ? DNS.TTL : '',
  };
}

/** The resolver tells apart a datacenter that isn't there and names that are none; the rest is a failure. */
function lookupError(answer: WholeAnswer): ConsulError {
  const text = new TextDecoder().decode(answer.body.subarray(0, 4096));
  if (text.includes('No path to datacenter')) return noPathToDatacenter();
  if (answer.status === 403) return new ConsulError('permission-denied', 403, text);
  return answer.status === 400 ? notFound(text) : new ConsulError('internal', 500, text);
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
