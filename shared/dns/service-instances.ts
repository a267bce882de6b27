/** Instances of a service as records, built once for a lookup result and drawn from for every query. */

import { type Random, randomInt } from '../env.ts';
import type { HealthEntry } from '../types/v1.ts';
import { hexOf, parseIp } from './addresses.ts';
import type { DnsConfig } from './config.ts';
import { srvWeight } from './health.ts';
import type { ResourceRecord } from './message.ts';
import { type Name, nameFromText } from './name.ts';
import { TYPE_SRV } from './record-types.ts';
import {
  addressRecord,
  nameInZone,
  nodeMetaRecords,
  srvRecord,
  takesServiceAddress,
  type ZoneNames,
} from './records.ts';
import { nodeAddress, serviceAddress, servicePort } from './translation.ts';

/** An instance that has an IP address of the type asked. */
export interface AddressInstance {
  readonly kind: 'address';
  /** Equal for instances of which only one may be in an answer. */
  readonly id: number;
  /** A, AAAA or SRV; its owner is the question's name. */
  readonly answer: ResourceRecord;
  /** SRV only: the address of the target, then the node's meta. */
  readonly additional: readonly ResourceRecord[];
}

/** An instance whose address is a host name. */
export interface HostInstance {
  readonly kind: 'host';
  readonly id: number;
  readonly host: Name;
  /** SRV only. */
  readonly answer: ResourceRecord | undefined;
  readonly texts: readonly ResourceRecord[];
  /** What stands in when the host name is the very name that is asked; undefined when nothing of the type does. */
  readonly ownNode: AddressInstance | undefined;
  /** The service has an address and the node's is an IP: the condition for `ownNode`. */
  readonly mayBeOwnName: boolean;
}

export type Instance = AddressInstance | HostInstance;

/** How a lookup result is to be rendered. */
export interface Rendering {
  readonly type: number;
  /** Asked, or of the prepared query's answer: part of the names of targets. */
  readonly datacenter: string;
  readonly ttl: number;
  readonly config: DnsConfig;
  readonly zone: ZoneNames;
}

/**
 * Instances to draw from.
 *
 * Invariant: `#order` is a permutation of the instances (any one will do as the start of the next shuffle), and
 * `#drawnAt[id]` is the number of the last draw that took an instance of that id.
 */
export class ServiceDeck {
  /** Healthy instances that the lookup gave, whether or not they have records of the type. */
  readonly given: number;
  readonly hosts: number;
  /** Different ids. */
  readonly distinct: number;
  readonly #order: Instance[];
  readonly #drawnAt: Uint32Array;
  #draw = 0;

  constructor(given: number, instances: readonly Instance[], ids: number) {
    this.given = given;
    this.#order = [...instances];
    this.#drawnAt = new Uint32Array(ids);
    this.hosts = instances.filter((instance) => instance.kind === 'host').length;
    this.distinct = new Set(instances.map((instance) => instance.id)).size;
  }

  /**
   * Up to `count` instances of different ids.
   *
   * @param random undefined: in the order of the lookup result
   */
  draw(count: number, random: Random | undefined): Instance[] {
    this.#draw = (this.#draw + 1) >>> 0;
    if (this.#draw === 0) this.#drawnAt.fill(0);
    const order = this.#order;
    const drawn: Instance[] = [];
    for (let i = 0; i < order.length && drawn.length < count; i++) {
      if (random !== undefined) swap(order, i, i + randomInt(random, order.length - i));
      const instance = order[i] as Instance;
      if (this.#drawnAt[instance.id] === this.#draw) continue;
      this.#drawnAt[instance.id] = this.#draw;
      drawn.push(instance);
    }
    return drawn;
  }

  /** Every instance, those with equal ids too. */
  all(random: Random | undefined): readonly Instance[] {
    const order = this.#order;
    if (random !== undefined)
      for (let i = order.length - 1; i > 0; i--) swap(order, i, randomInt(random, i + 1));
    return [...order];
  }
}

/** @param entries healthy, in the order of the result */
export function renderInstances(entries: readonly HealthEntry[], rendering: Rendering): ServiceDeck {
  const ids = new Map<string, number>();
  const idOf = (key: string) => {
    const id = ids.get(key) ?? ids.size;
    ids.set(key, id);
    return id;
  };
  const instances: Instance[] = [];
  for (const entry of entries) {
    const instance = renderInstance(entry, rendering, idOf);
    if (instance !== undefined) instances.push(instance);
  }
  return new ServiceDeck(entries.length, instances, ids.size);
}

/** The table of chosen addresses; undefined: nothing of the type asked. */
function renderInstance(
  entry: HealthEntry,
  rendering: Rendering,
  idOf: (key: string) => number,
): Instance | undefined {
  const { type, datacenter, config } = rendering;
  const ofService = serviceAddress(entry.Service, datacenter, type, config);
  const ofNode = nodeAddress(entry.Node, type, config);
  const serviceIp = parseIp(ofService);
  const nodeIp = parseIp(ofNode);
  if (serviceIp !== undefined) return addressInstance(entry, serviceIp, 'addr', rendering, idOf);
  if (ofService === '' && nodeIp !== undefined) {
    const target = ofNode === entry.Node.Address ? 'node' : 'addr';
    return addressInstance(entry, nodeIp, target, rendering, idOf);
  }
  const host = nameFromText(ofService === '' ? ofNode : ofService);
  if (host === undefined || host.suffixes.length === 0) return undefined;
  const mayBeOwnName = ofService !== '' && nodeIp !== undefined;
  return {
    kind: 'host',
    id: idOf(type === TYPE_SRV ? srvKey(entry, rendering) : `host ${host.folded}`),
    host,
    answer: type === TYPE_SRV ? srvAnswer(entry, host, rendering) : undefined,
    texts: type === TYPE_SRV ? metaTexts(entry, rendering) : [],
    mayBeOwnName,
    ownNode: mayBeOwnName ? addressInstance(entry, nodeIp, 'node', rendering, idOf) : undefined,
  };
}

function addressInstance(
  entry: HealthEntry,
  ip: Uint8Array,
  targetKind: 'node' | 'addr',
  rendering: Rendering,
  idOf: (key: string) => number,
): AddressInstance | undefined {
  const { type, ttl } = rendering;
  if (!takesServiceAddress(type, ip)) return undefined;
  if (type !== TYPE_SRV) {
    const answer = addressRecord(undefined, ttl, ip);
    return { kind: 'address', id: idOf(hexOf(ip)), answer, additional: [] };
  }
  const target = srvTarget(entry, ip, targetKind, rendering);
  if (target === undefined) return undefined;
  return {
    kind: 'address',
    id: idOf(srvKey(entry, rendering)),
    answer: srvAnswer(entry, target, rendering),
    additional: [addressRecord(target, ttl, ip), ...metaTexts(entry, rendering)],
  };
}

/** A node name that DNS cannot carry gives way to the address form, so that the instance can still be reached. */
function srvTarget(
  entry: HealthEntry,
  ip: Uint8Array,
  kind: 'node' | 'addr',
  { datacenter, zone }: Rendering,
): Name | undefined {
  const named = kind === 'node' ? nameInZone(zone, entry.Node.Node, 'node', datacenter) : undefined;
  return named ?? nameInZone(zone, hexOf(ip), 'addr', datacenter);
}

function srvAnswer(entry: HealthEntry, target: Name, { ttl, datacenter, config }: Rendering): ResourceRecord {
  return srvRecord(ttl, srvWeight(entry), servicePort(entry.Service, datacenter, config), target);
}

function srvKey(entry: HealthEntry, { type, datacenter, config }: Rendering): string {
  const address = serviceAddress(entry.Service, datacenter, type, config);
  return JSON.stringify([entry.Node.Node, address, servicePort(entry.Service, datacenter, config)]);
}

function metaTexts(entry: HealthEntry, { ttl, datacenter, config, zone }: Rendering): ResourceRecord[] {
  if (!config.enableAdditionalNodeMetaTxt) return [];
  const owner = nameInZone(zone, entry.Node.Node, 'node', datacenter);
  return owner === undefined ? [] : nodeMetaRecords(owner, ttl, entry.Node.Meta);
}

function swap(items: Instance[], i: number, j: number): void {
  const held = items[i] as Instance;
  items[i] = items[j] as Instance;
  items[j] = held;
}
