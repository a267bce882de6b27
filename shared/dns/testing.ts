/** For tests: a catalog in memory behind `DnsLookups`, and asking a resolver questions in plain words. */

import { noPathToDatacenter } from '../errors.ts';
import type { SeededRandom } from '../simulated-env.ts';
import type { HealthCheck, HealthEntry, Node, Service, ServiceAddress, Weights } from '../types/v1.ts';
import { EMPTY_PROXY } from '../types/v1.ts';
import { parseIp } from './addresses.ts';
import { clientSubnet } from './edns.ts';
import type { DnsLookups, PreparedQueryAnswer, ServiceLookup } from './lookups.ts';
import { type DnsMessage, decodeMessage, type ResourceRecord } from './message.ts';
import { nameFromText, presentName } from './name.ts';
import { presentData } from './presentation.ts';
import { encodeQuery } from './query.ts';
import { parseRecordType, recordTypeName } from './record-types.ts';
import type { DnsResolver } from './resolver.ts';
import type { DnsTransport } from './trimming.ts';

export interface FakeNode {
  readonly name: string;
  readonly address: string;
  readonly id?: string;
  readonly meta?: Record<string, string>;
  readonly tagged?: Record<string, string>;
  readonly datacenter?: string;
}

export interface FakeInstance {
  readonly node: string;
  readonly service: string;
  readonly id?: string;
  readonly port?: number;
  readonly address?: string;
  readonly tags?: string[];
  readonly weights?: Weights;
  readonly tagged?: Record<string, ServiceAddress>;
  /** `connect` and `ingress` lookups find instances of that kind only. */
  readonly kind?: ServiceLookup['kind'];
  /** Checks of the instance. */
  readonly checks?: readonly string[];
  /** Checks of its node, with their check IDs. */
  readonly nodeChecks?: Readonly<Record<string, string>>;
}

/** Invariant: a lookup returns the identical value until something is added, as `DnsLookups` asks. */
export class FakeCatalog implements DnsLookups {
  readonly nodes: Node[] = [];
  readonly queries = new Map<string, PreparedQueryAnswer>();
  /** Addresses that prepared queries were asked for. */
  readonly askedFor: string[] = [];
  /** Thrown by every lookup when set. */
  failure: Error | undefined;
  #entries: { entry: HealthEntry; kind: ServiceLookup['kind'] }[] = [];
  readonly #results = new Map<string, readonly HealthEntry[]>();

  addNode({ name, address, id = '', meta = {}, tagged, datacenter = 'dc1' }: FakeNode): this {
    this.nodes.push({
      ID: id,
      Node: name,
      Address: address,
      Datacenter: datacenter,
      TaggedAddresses: tagged ?? null,
      Meta: meta,
      CreateIndex: 1,
      ModifyIndex: 1,
    });
    return this;
  }

  addInstance(instance: FakeInstance): this {
    const node = this.nodes.find(({ Node: name }) => name === instance.node);
    if (node === undefined) throw new Error(`no node ${instance.node}`);
    const service = fakeService(instance);
    const nodeChecks = Object.entries(instance.nodeChecks ?? {});
    const checks = [
      ...nodeChecks.map(([id, status]) => fakeCheck(node.Node, id, status, undefined)),
      ...(instance.checks ?? []).map((status, i) => fakeCheck(node.Node, `check-${i}`, status, service)),
    ];
    const entry = { Node: node, Service: service, Checks: checks };
    this.#entries.push({ entry, kind: instance.kind ?? 'service' });
    this.#results.clear();
    return this;
  }

  removeService(name: string): void {
    this.#entries = this.#entries.filter(({ entry }) => entry.Service.Service !== name);
    this.#results.clear();
  }

  node(name: string, datacenter: string): Node | undefined {
    this.#vet(datacenter);
    const found = this.nodes.find((node) => node.Node.toLowerCase() === name);
    if (found !== undefined || name.length < 2) return found;
    const prefix = name.slice(0, name.length - (name.length % 2));
    const matching = this.nodes.filter((node) => node.ID.startsWith(prefix));
    return matching.length === 1 ? matching[0] : undefined;
  }

  service(lookup: ServiceLookup): readonly HealthEntry[] {
    this.#vet(lookup.datacenter);
    const key = JSON.stringify(lookup);
    const kept = this.#results.get(key);
    if (kept !== undefined) return kept;
    const found = this.#entries
      .filter(
        ({ entry, kind }) => kind === lookup.kind && entry.Service.Service.toLowerCase() === lookup.service,
      )
      .map(({ entry }) => entry)
      .filter(({ Service: service }) => hasTag(service, lookup.tag));
    this.#results.set(key, found);
    return found;
  }

  preparedQuery(
    nameOrId: string,
    datacenter: string,
    clientAddress: string,
  ): PreparedQueryAnswer | undefined {
    this.#vet(datacenter);
    this.askedFor.push(clientAddress);
    return this.queries.get(nameOrId);
  }

  nodeByAddress(address: string): Node | undefined {
    this.#vet('dc1');
    return this.nodes.find((node) => node.Address === address && node.Datacenter === 'dc1');
  }

  serviceByAddress(address: string): string | undefined {
    return this.#entries.find(({ entry }) => entry.Service.Address === address)?.entry.Service.Service;
  }

  #vet(datacenter: string): void {
    if (this.failure !== undefined) throw this.failure;
    if (datacenter !== 'dc1' && datacenter !== 'dc2') throw noPathToDatacenter();
  }
}

/** The same catalog, every answer through a promise. */
export function promised(lookups: DnsLookups): DnsLookups {
  return {
    node: async (name, datacenter) => lookups.node(name, datacenter),
    service: async (lookup) => lookups.service(lookup),
    preparedQuery: async (name, datacenter, client) => lookups.preparedQuery(name, datacenter, client),
    nodeByAddress: async (address) => lookups.nodeByAddress(address),
    serviceByAddress: async (address) => lookups.serviceByAddress(address),
  };
}

export interface AskOptions {
  readonly transport?: DnsTransport;
  readonly udpSize?: number;
  /** `ip/bits`. */
  readonly subnet?: string;
  readonly questionClass?: number;
  readonly opcode?: number;
  readonly wantsRecursion?: boolean;
}

/** A query as clients send it; id 0x1234. */
export function buildQuery(name: string, type: string, options: AskOptions = {}): Uint8Array {
  const [ip = '', bits = ''] = options.subnet?.split('/') ?? [];
  const address = parseIp(ip);
  const parsed = nameFromText(name);
  if (parsed === undefined) throw new Error(`bad name ${name}`);
  const hasEdns = options.udpSize !== undefined || address !== undefined;
  return encodeQuery({
    id: 0x1234,
    name: parsed,
    type: parseRecordType(type) ?? 0,
    questionClass: options.questionClass ?? 1,
    opcode: options.opcode ?? 0,
    wantsRecursion: options.wantsRecursion ?? true,
    ...(hasEdns && {
      edns: {
        udpSize: options.udpSize ?? 4096,
        ...(address !== undefined && { subnet: clientSubnet(address, Number(bits)) }),
      },
    }),
  });
}

/** An answer as a person reads it. Records are `owner TTL type data`. */
export interface PlainAnswer {
  readonly rcode: string;
  /** Names of the flags that are set, in the order QR AA TC RD RA AD CD, without QR. */
  readonly flags: string;
  readonly answers: string[];
  readonly authority: string[];
  readonly additional: string[];
  readonly bytes: Uint8Array;
  readonly message: DnsMessage;
}

/** @throws Error when the resolver says nothing or what it says cannot be read */
export async function ask(
  resolver: DnsResolver,
  name: string,
  type: string,
  options: AskOptions = {},
): Promise<PlainAnswer> {
  const query = buildQuery(name, type, options);
  const bytes = await resolver.answer(query, options.transport ?? 'udp', '127.0.0.1', 5353);
  if (bytes === undefined) throw new Error('no answer');
  return plainAnswer(bytes);
}

export function plainAnswer(bytes: Uint8Array): PlainAnswer {
  const message = decodeMessage(bytes);
  const plain = (records: readonly ResourceRecord[]) => records.map(plainRecord);
  return {
    rcode: RCODE_NAMES[message.flags & 0xf] ?? String(message.flags & 0xf),
    flags: FLAG_NAMES.filter(([bit]) => (message.flags & bit) !== 0)
      .map(([, name]) => name)
      .join(' '),
    answers: plain(message.answers),
    authority: plain(message.authority),
    additional: plain(message.additional),
    bytes,
    message,
  };
}

const RCODE_NAMES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0x0400, 'AA'],
  [0x0200, 'TC'],
  [0x0100, 'RD'],
  [0x0080, 'RA'],
  [0x0020, 'AD'],
  [0x0010, 'CD'],
];

function plainRecord(record: ResourceRecord): string {
  const owner = record.owner === undefined ? '?' : presentName(record.owner.wire);
  return `${owner} ${record.ttl} ${recordTypeName(record.type)} ${presentData(record)}`;
}

/** Up to four changes: flipped, inserted, removed or repeated bytes, or a cut. */
export function mutate(seed: Uint8Array, random: SeededRandom): Uint8Array {
  const message = [...seed];
  const changes = random.nextUint32() % 5;
  for (let i = 0; i < changes; i++) {
    const at = random.nextUint32() % (message.length + 1);
    const byte = random.nextUint32() & 0xff;
    const kind = random.nextUint32() % 5;
    if (kind === 0) message[at] = byte;
    else if (kind === 1) message.splice(at, 0, byte);
    else if (kind === 2) message.splice(at, 1 + (byte % 4));
    else if (kind === 3) message.splice(at, 0, ...message.slice(at, at + (byte % 32)));
    else message.length = Math.min(message.length, Math.max(at, 8));
  }
  return Uint8Array.from(message, (value) => value ?? 0);
}

function hasTag(service: Service, tag: string | undefined): boolean {
  return tag === undefined || (service.Tags ?? []).some((own) => own.toLowerCase() === tag);
}

function fakeService(instance: FakeInstance): Service {
  return {
    ID: instance.id ?? instance.service,
    Service: instance.service,
    Tags: instance.tags ?? [],
    Address: instance.address ?? '',
    ...(instance.tagged !== undefined && { TaggedAddresses: instance.tagged }),
    Meta: {},
    Port: instance.port ?? 0,
    Weights: instance.weights ?? { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: EMPTY_PROXY,
    Connect: {},
    CreateIndex: 1,
    ModifyIndex: 1,
  };
}

function fakeCheck(node: string, id: string, status: string, service: Service | undefined): HealthCheck {
  return {
    Node: node,
    CheckID: id,
    Name: id,
    Status: status,
    Notes: '',
    Output: '',
    ServiceID: service?.ID ?? '',
    ServiceName: service?.Service ?? '',
    ServiceTags: [],
    Type: '',
    Definition: {},
    CreateIndex: 1,
    ModifyIndex: 1,
  };
}
