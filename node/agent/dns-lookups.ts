/** Answers the resolver's look-ups from the agent's backend: at once on a server, by RPC on a client. */

import type { DnsLookups, MaybePromise, ServiceLookup } from '../../shared/dns/lookups.ts';
import type { Random } from '../../shared/env.ts';
import type { Counter } from '../../shared/metrics.ts';
import type { HealthEntry, Node } from '../../shared/types/v1.ts';
import type { Backend, ReadReply } from '../rpc/backend.ts';
import { catalogServiceAtAddress } from '../rpc/dump-endpoints.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import { catalogListNodes, catalogNodeServices, healthServiceNodes, NO_MODIFIERS } from '../rpc/endpoints.ts';
import { executeQuery } from '../rpc/query-execution.ts';

export interface DnsLookupOptions {
  readonly datacenter: string;
  /** The agent's node, for queries that want to be near to it. */
  readonly nodeName: string;
  /** For the order of instances that are equally near. */
  readonly random: Random;
  /** Asked at every look-up, so that a reload can change it. */
  readonly staleness: () => Staleness;
  /** Answers from a server that had not heard from the leader for long. */
  readonly staleQueries?: Counter | undefined;
}

/** From here on an answer counts as a stale one. */
const COUNTED_STALE_MS = 5000;

export interface Staleness {
  readonly allowStale: boolean;
  /** A stale answer older than this is asked again from the leader. */
  readonly maxStaleMs: number;
}

export function createDnsLookups(backend: Backend, options: DnsLookupOptions): DnsLookups {
  const nodesByAddress = new WeakMap<readonly Node[], ReadonlyMap<string, Node>>();

  function ask<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    datacenter: string,
  ): MaybePromise<Result> {
    const isLocal = datacenter === '' || datacenter === options.datacenter;
    const { allowStale, maxStaleMs } = options.staleness();
    if (isLocal && allowStale) {
      const reply: ReadReply<Result> | undefined = backend.readLocal(endpoint, args);
      if (reply !== undefined && reply.meta.lastContactMs <= maxStaleMs) return noted(reply);
    }
    const consistency = allowStale ? 'stale' : 'default';
    return backend
      .read(endpoint, args, {
        datacenter: isLocal ? '' : datacenter,
        token: '',
        consistency,
        maxStaleMs,
      })
      .then(noted);
  }

  function noted<Result>({ meta, value }: ReadReply<Result>): Result {
    if (meta.lastContactMs > COUNTED_STALE_MS) options.staleQueries?.add();
    return value;
  }

  return {
    node(name, datacenter) {
      const found = ask(catalogNodeServices, { node: name, filter: '' }, datacenter);
      return then(found, (value) => value?.Node);
    },
    service({ service, tag, kind, datacenter }: ServiceLookup): MaybePromise<readonly HealthEntry[]> {
      const tags = tag === undefined ? [] : [tag];
      return ask(
        healthServiceNodes,
        { ...NO_MODIFIERS, service, tags, kind, passingOnly: false },
        datacenter,
      );
    },
    preparedQuery(query, datacenter, clientAddress) {
      const execution = {
        query,
        datacenter: datacenter === options.datacenter ? '' : datacenter,
        ownDatacenter: options.datacenter,
        near: '',
        agentNode: options.nodeName,
        sourceAddress: clientAddress,
        limit: 0,
        connect: false,
      };
      return executeQuery(ask, execution, options.random);
    },
    nodeByAddress(address) {
      return then(ask(catalogListNodes, NO_MODIFIERS, ''), (nodes) => {
        const known = nodesByAddress.get(nodes) ?? indexByAddress(nodes);
        nodesByAddress.set(nodes, known);
        return known.get(address);
      });
    },
    serviceByAddress(address) {
      return then(ask(catalogServiceAtAddress, { address }, ''), (name) => (name === '' ? undefined : name));
    },
  };
}

function then<A, B>(value: MaybePromise<A>, map: (value: A) => B): MaybePromise<B> {
  return value instanceof Promise ? value.then(map) : map(value);
}

/** The first node wins where several share an address. */
function indexByAddress(nodes: readonly Node[]): ReadonlyMap<string, Node> {
  const index = new Map<string, Node>();
  for (const node of nodes) if (!index.has(node.Address)) index.set(node.Address, node);
  return index;
}
