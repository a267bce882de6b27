/** Answers about services and prepared queries: addresses, SRV, host names (reference: service lookups, SRV, queries). */

import { DurationSyntaxError, parseDurationMs } from '../durations.ts';
import type { Random } from '../env.ts';
import type { HealthEntry } from '../types/v1.ts';
import { plainAddress } from './addresses.ts';
import { type Answering, soaOf, type ZoneQuestion } from './answering.ts';
import { serviceTtlSeconds, ttlSeconds } from './config.ts';
import { isHealthy } from './health.ts';
import type { MaybePromise, PreparedQueryAnswer, ServiceLookup } from './lookups.ts';
import { chain, together } from './maybe-promise.ts';
import type { ResourceRecord } from './message.ts';
import type { Name } from './name.ts';
import { TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_CNAME, TYPE_SRV, TYPE_TXT } from './record-types.ts';
import { cnameRecord } from './records.ts';
import { answered, nameError, noData, type Sections } from './sections.ts';
import { type HostInstance, type Instance, renderInstances, type ServiceDeck } from './service-instances.ts';
import { worthBuilding } from './trimming.ts';

/** Records taken from behind one host name, unless the client speaks EDNS. */
const MAX_CHAIN_RECORDS = 5;
/** With EDNS Consul has no bound; an upstream's answer could fill the message. */
const MAX_CHAIN_RECORDS_EDNS = 64;
/** Host names that one SRV question makes the resolver look up; targets beyond go without an address. */
const MAX_HOSTS_RESOLVED = 32;

export function answerService(
  answering: Answering,
  question: ZoneQuestion,
  lookup: ServiceLookup,
): MaybePromise<Sections> {
  const { config } = answering;
  return chain(answering.lookups.service(lookup), (entries) => {
    if (entries.length === 0) return nameError(soaOf(answering));
    const ttl = serviceTtlSeconds(config, lookup.service);
    const form = `service ${typeForm(question.type)} ${ttl} ${lookup.datacenter}`;
    const deck = answering.rendered.deck(entries, form, () => {
      const healthy = entries.filter((entry) => isHealthy(entry, config.onlyPassing));
      return renderDeck(answering, question.type, healthy, lookup.datacenter, ttl);
    });
    return answerFromDeck(answering, question, deck, ttl, answering.env.random);
  });
}

/** The order of the result is kept, and what is healthy was decided when the query ran. */
export function answerPreparedQuery(
  answering: Answering,
  question: ZoneQuestion,
  query: string,
  datacenter: string,
): MaybePromise<Sections> {
  const client = plainAddress(question.clientAddress);
  return chain(answering.lookups.preparedQuery(query, datacenter, client), (answer) => {
    if (answer === undefined) return nameError(soaOf(answering));
    const ttl = queryTtl(answering, answer);
    const form = `query ${typeForm(question.type)} ${ttl} ${answer.datacenter}`;
    const deck = answering.rendered.deck(answer.nodes, form, () =>
      renderDeck(answering, question.type, answer.nodes, answer.datacenter, ttl),
    );
    return answerFromDeck(answering, question, deck, ttl, undefined);
  });
}

/** All types without a meaning for services are rendered alike. */
function typeForm(type: number): number {
  const hasMeaning = [TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_SRV, TYPE_TXT].includes(type);
  return hasMeaning ? type : 0;
}

function renderDeck(
  { config, zone }: Answering,
  type: number,
  entries: readonly HealthEntry[],
  datacenter: string,
  ttl: number,
): ServiceDeck {
  return renderInstances(entries, { type, datacenter, ttl, config, zone });
}

function queryTtl({ config, log }: Answering, answer: PreparedQueryAnswer): number {
  if (answer.ttl === '') return serviceTtlSeconds(config, answer.service);
  try {
    return ttlSeconds(parseDurationMs(answer.ttl));
  } catch (thrown) {
    if (!(thrown instanceof DurationSyntaxError)) throw thrown;
    log.warn('Failed to parse TTL for prepared query , ignoring', { ttl: answer.ttl });
    return 0;
  }
}

/** @param random undefined: keep the order */
function answerFromDeck(
  answering: Answering,
  question: ZoneQuestion,
  deck: ServiceDeck,
  ttl: number,
  random: Random | undefined,
): MaybePromise<Sections> {
  if (deck.given === 0) return nameError(soaOf(answering));
  if (question.type === TYPE_SRV) return srvSections(answering, question, deck, ttl, random);
  if (deck.hosts > 0) return mixedSections(answering, question, deck, ttl, random);
  const limit = answering.config.aRecordLimit;
  const total = limit > 0 ? Math.min(limit, deck.distinct) : deck.distinct;
  if (total === 0) return noData(soaOf(answering));
  const answers: ResourceRecord[] = [];
  for (const instance of deck.draw(worthBuilding(question.limits, total, false), random))
    if (instance.answer !== undefined) answers.push(instance.answer);
  return { ...answered(answers), trim: { total, isSrv: false } };
}

/** Addresses win over host names; of host names only the first drawn is answered, with what is behind it. */
function mixedSections(
  answering: Answering,
  question: ZoneQuestion,
  deck: ServiceDeck,
  ttl: number,
  random: Random | undefined,
): MaybePromise<Sections> {
  const limit = answering.config.aRecordLimit > 0 ? answering.config.aRecordLimit : Number.POSITIVE_INFINITY;
  const answers: ResourceRecord[] = [];
  const seen = new Set<number>();
  let firstHost: HostInstance | undefined;
  for (const drawn of deck.all(random)) {
    const instance = effectiveInstance(drawn, question);
    if (instance === undefined || seen.has(instance.id)) continue;
    seen.add(instance.id);
    if (instance.kind === 'host') firstHost ??= instance;
    else answers.push(instance.answer);
    if (answers.length >= limit) break;
  }
  if (answers.length > 0) return { ...answered(answers), trim: { total: answers.length, isSrv: false } };
  if (firstHost === undefined) return noData(soaOf(answering));
  const cname = cnameRecord(undefined, ttl, firstHost.host);
  return chain(recordsBehind(answering, question, firstHost.host, ttl), (behind) => {
    const records = [cname, ...behind];
    return { ...answered(records), trim: { total: records.length, isSrv: false } };
  });
}

function srvSections(
  answering: Answering,
  question: ZoneQuestion,
  deck: ServiceDeck,
  ttl: number,
  random: Random | undefined,
): MaybePromise<Sections> {
  const count = worthBuilding(question.limits, deck.distinct, true);
  const drawn = deck
    .draw(count, random)
    .map((instance) => effectiveInstance(instance, question))
    .filter((instance) => instance !== undefined);
  const total = count < deck.distinct ? deck.distinct : drawn.length;
  if (total === 0) return noData(soaOf(answering));
  const behindHosts = deck.hosts === 0 ? new Map() : resolveHosts(answering, question, drawn, ttl);
  return chain(behindHosts, (behind: ReadonlyMap<string, readonly ResourceRecord[]>) => {
    const answers: ResourceRecord[] = [];
    const additional: ResourceRecord[] = [];
    for (const instance of drawn) {
      if (instance.answer !== undefined) answers.push(instance.answer);
      if (instance.kind === 'address') additional.push(...instance.additional);
      else additional.push(...(behind.get(instance.host.folded) ?? []), ...instance.texts);
    }
    return { ...answered(answers, additional), trim: { total, isSrv: true } };
  });
}

/** A service whose address is the very name that is asked is at its node's address. */
function effectiveInstance(instance: Instance, question: ZoneQuestion): Instance | undefined {
  if (instance.kind === 'address' || !instance.mayBeOwnName) return instance;
  const isOwnName = instance.host.suffixes[0] === question.name.suffixes[0];
  return isOwnName ? instance.ownNode : instance;
}

/** Records behind the host names of the instances, by the folded name. */
function resolveHosts(
  answering: Answering,
  question: ZoneQuestion,
  instances: readonly Instance[],
  ttl: number,
): MaybePromise<Map<string, readonly ResourceRecord[]>> {
  const hosts = new Map<string, Name>();
  for (const instance of instances)
    if (instance.kind === 'host' && hosts.size < MAX_HOSTS_RESOLVED)
      hosts.set(instance.host.folded, instance.host);
  const found = [...hosts.values()].map((host) => recordsBehind(answering, question, host, ttl));
  const byName = (records: readonly (readonly ResourceRecord[])[]) =>
    new Map([...hosts.keys()].map((key, i) => [key, records[i] ?? []]));
  return together(found, byName);
}

/** Only CNAME, A and AAAA, with the TTL of the service. */
function recordsBehind(
  answering: Answering,
  question: ZoneQuestion,
  host: Name,
  ttl: number,
): MaybePromise<readonly ResourceRecord[]> {
  return chain(answering.resolveHost(host, question.depth), (records) =>
    records
      .filter(({ type }) => type === TYPE_CNAME || type === TYPE_A || type === TYPE_AAAA)
      .slice(0, question.hasEdns ? MAX_CHAIN_RECORDS_EDNS : MAX_CHAIN_RECORDS)
      .map((record) => ({ ...record, ttl })),
  );
}
