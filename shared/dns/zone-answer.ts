/** Answers about the zone itself and about addresses: SOA, NS, `.addr.`, reverse names (reference: SOA, NS, PTR, addr). */

import { shuffle } from '../env.ts';
import type { HealthEntry } from '../types/v1.ts';
import { bytesOfHex } from './addresses.ts';
import { type Answering, MAX_CNAME_DEPTH, soaOf } from './answering.ts';
import { ttlSeconds } from './config.ts';
import { isHealthy } from './health.ts';
import type { MaybePromise } from './lookups.ts';
import { chain, recovering, together } from './maybe-promise.ts';
import type { ResourceRecord } from './message.ts';
import { type Name, nameFromText, nameFromWire } from './name.ts';
import { nodeAddressRecords } from './node-answer.ts';
import { TYPE_ANY, TYPE_SOA } from './record-types.ts';
import { addressRecord, nameInZone, nsRecord, ptrRecord } from './records.ts';
import { answered, EMPTY_SECTIONS, nameError, type Sections } from './sections.ts';

const CONSUL_SERVICE = 'consul';
const MAX_NAME_SERVERS = 3;
/** Node names that other name servers can be expected to look up. */
const PLAIN_NAME = /^[A-Za-z0-9-]+$/;

/** SOA in Answer, name servers in Authority, their addresses in Additional: for any name of the zone. */
export function answerSoa(answering: Answering): MaybePromise<Sections> {
  return chain(nameServers(answering), ({ servers, glue }) => ({
    ...EMPTY_SECTIONS,
    answers: [soaOf(answering)],
    authority: servers,
    additional: glue,
  }));
}

export function answerNs(answering: Answering): MaybePromise<Sections> {
  return chain(nameServers(answering), ({ servers, glue }) => answered(servers, glue));
}

/**
 * The address that the label spells, in Answer whatever type was asked.
 * A label of another length is an empty answer; one that is not hexadecimal does not exist.
 */
export function answerAddress(answering: Answering, name: Name, label: string): Sections {
  const half = Math.floor(label.length / 2);
  if (half !== 4 && half !== 16) return EMPTY_SECTIONS;
  const ip = bytesOfHex(label);
  if (ip === undefined) return nameError(soaOf(answering));
  const owner = nameFromWire(Uint8Array.from(name.folded, (character) => character.charCodeAt(0)));
  return answered([addressRecord(owner, ttlSeconds(answering.config.nodeTtlMs), ip)]);
}

/** PTR for any type; undefined when neither a node nor a service has the address. A failed lookup counts as that. */
export function answerReverse(
  answering: Answering,
  type: number,
  address: string | undefined,
): MaybePromise<Sections | undefined> {
  if (address === undefined) return undefined;
  return chain(reverseTarget(answering, address), (target) => {
    if (target === undefined) return undefined;
    const authority = type === TYPE_SOA ? [soaOf(answering)] : [];
    return { ...EMPTY_SECTIONS, answers: [ptrRecord(target)], authority };
  });
}

function reverseTarget(answering: Answering, address: string): MaybePromise<Name | undefined> {
  const { config, lookups, zone } = answering;
  const absent = (thrown: unknown) => {
    answering.log.debug('reverse lookup failed', { address, error: String(thrown) });
    return undefined;
  };
  const ofNode = recovering(
    () =>
      chain(lookups.nodeByAddress(address), (node) =>
        node === undefined ? undefined : nameInZone(zone, node.Node, 'node', config.datacenter),
      ),
    absent,
  );
  return chain(ofNode, (target) => {
    if (target !== undefined) return target;
    return recovering(
      () =>
        chain(lookups.serviceByAddress(address), (service) =>
          service === undefined ? undefined : nameInZone(zone, service, 'service', config.datacenter),
        ),
      absent,
    );
  });
}

interface NameServers {
  readonly servers: readonly ResourceRecord[];
  readonly glue: readonly ResourceRecord[];
}

const NO_SERVERS: NameServers = { servers: [], glue: [] };

/** Up to three healthy servers in random order. Without any the zone still answers. */
function nameServers(answering: Answering): MaybePromise<NameServers> {
  const { config, lookups, log } = answering;
  const lookup = {
    service: CONSUL_SERVICE,
    tag: undefined,
    kind: 'service',
    datacenter: config.datacenter,
  } as const;
  return recovering(
    () => chain(lookups.service(lookup), (entries) => chooseServers(answering, entries)),
    (thrown) => {
      log.warn('Unable to get list of servers', { error: String(thrown) });
      return NO_SERVERS;
    },
  );
}

function chooseServers(answering: Answering, entries: readonly HealthEntry[]): MaybePromise<NameServers> {
  const { config, zone, env, log } = answering;
  const healthy = entries.filter((entry) => isHealthy(entry, config.onlyPassing));
  if (healthy.length === 0) log.warn('no servers found');
  const named = shuffle(env.random, healthy)
    .map((entry) => ({ node: entry.Node, name: serverName(answering, entry) }))
    .filter((server) => server.name !== undefined)
    .slice(0, MAX_NAME_SERVERS);
  const ttl = ttlSeconds(config.nodeTtlMs);
  const servers: ResourceRecord[] = [];
  const addresses: MaybePromise<readonly ResourceRecord[]>[] = [];
  for (const { node, name } of named) {
    if (name === undefined) continue;
    servers.push(nsRecord(zone.apex, ttl, name));
    addresses.push(nodeAddressRecords(answering, node, TYPE_ANY, name, MAX_CNAME_DEPTH));
  }
  return together(addresses, (found) => ({ servers, glue: found.flat() }));
}

/** Lower case; undefined when the node's name has characters that DNS names should not have. */
function serverName({ zone, log }: Answering, { Node: node }: HealthEntry): Name | undefined {
  const name = PLAIN_NAME.test(node.Node)
    ? nameFromText(`${node.Node}.node.${node.Datacenter}.${zone.text === '.' ? '' : zone.text}`.toLowerCase())
    : undefined;
  if (name === undefined) log.warn('Skipping invalid node for NS records', { node: node.Node });
  return name;
}
