/** The DNS resolver: a query in bytes → what is asked → lookup → an answer in bytes. */

import type { Env } from '../env.ts';
import type { Logger } from '../log.ts';
import { formatIp } from './addresses.ts';
import { type Answering, MAX_CNAME_DEPTH, RenderedCache, type ZoneQuestion } from './answering.ts';
import type { DnsConfig } from './config.ts';
import type { ClientSubnet } from './edns.ts';
import type { DnsLookups, MaybePromise } from './lookups.ts';
import { chain, isPromise, recovering } from './maybe-promise.ts';
import { FLAG_AA, FLAG_RA } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import { type Name, presentName } from './name.ts';
import { type Asked, type AskedName, readAskedName, zoneLabels } from './question-name.ts';
import { recordClassName, recordTypeName, TYPE_SRV } from './record-types.ts';
import { zoneNames } from './records.ts';
import { createRecursion, type Recursor } from './recursion.ts';
import { replyForm, writeReply } from './reply.ts';
import { type DnsRequest, vetRequest } from './request.ts';
import { SERVFAIL_SECTIONS, type Sections } from './sections.ts';
import { type DnsTransport, sizeLimits } from './trimming.ts';
import { answerReverse } from './zone-answer.ts';
import { resolveHost, zoneSections } from './zone-lookup.ts';

export interface DnsResolverDeps {
  readonly env: Env;
  readonly log: Logger;
  /** Absent: recursion is off whatever the configuration says. */
  readonly recursor?: Recursor | undefined;
  /** Called with every answered query about the zones or a reverse name, for telemetry. `elapsedMs` ≥ 0. */
  readonly onAnswered?: ((kind: 'domain' | 'ptr', elapsedMs: number) => void) | undefined;
}

export interface DnsResolver {
  /**
   * Answers one message. Never throws or rejects: what goes wrong inside becomes SERVFAIL.
   *
   * @param query a whole message, any bytes; not to be changed before the answer is there
   * @param clientAddress IP of who asks, for queries that sort by distance
   * @param clientPort for the log
   * @returns the reply, the caller's to send but not to change; undefined: say nothing
   */
  answer(
    query: Uint8Array,
    transport: DnsTransport,
    clientAddress: string,
    clientPort?: number,
  ): MaybePromise<Uint8Array | undefined>;
  /** Whether another client might get another answer (prepared queries): such an answer is not for shared caches. */
  dependsOnClient(query: Uint8Array): boolean;
  /**
   * Uses another configuration from the next query on.
   *
   * @throws RangeError when a domain is no valid name; the configuration so far stays
   */
  reconfigure(config: DnsConfig): void;
}

/** Question names whose meaning is kept. The names that clients ask repeat; a flood of others empties the cache. */
const MAX_KEPT_NAMES = 4096;

/** @throws RangeError when a domain of the configuration is no valid name */
export function createResolver(config: DnsConfig, lookups: DnsLookups, deps: DnsResolverDeps): DnsResolver {
  const writer = new MessageWriter();
  let active = activate(config, lookups, deps, writer);
  return {
    answer: (query, transport, clientAddress, clientPort) =>
      answerMessage(active, deps, query, transport, clientAddress, clientPort),
    dependsOnClient(query) {
      const vetted = vetRequest(query);
      return vetted.verdict === 'answer' && askedName(active, vetted.request).asked.kind === 'query';
    },
    reconfigure(next) {
      active = activate(next, lookups, deps, writer);
    },
  };
}

/** One configuration and what was learned under it. */
interface Active {
  readonly answering: Answering;
  readonly writer: MessageWriter;
  /** By the name as spelled; SRV questions read names in their own way. */
  readonly names: Map<string, AskedName>;
  readonly srvNames: Map<string, AskedName>;
}

function activate(
  config: DnsConfig,
  lookups: DnsLookups,
  { env, log, recursor }: DnsResolverDeps,
  writer: MessageWriter,
): Active {
  const hasRecursion = recursor !== undefined && config.recursors.length > 0;
  const answering: Answering = {
    config,
    zones: {
      domain: zoneLabels(config.domain),
      altDomain: zoneLabels(config.altDomain),
      datacenter: config.datacenter,
    },
    zone: zoneNames(config.domain),
    lookups,
    env,
    log,
    recursion: hasRecursion
      ? createRecursion(recursor, config.recursors, config.recursorTimeoutMs, env, log)
      : undefined,
    rendered: new RenderedCache(),
    resolveHost: (host, depth) => resolveHost(active, host, depth),
  };
  const active: Active = { answering, writer, names: new Map(), srvNames: new Map() };
  return active;
}

/** A vetted query with where it came from. */
interface Asking {
  readonly request: DnsRequest;
  readonly name: Name;
  readonly transport: DnsTransport;
  readonly clientAddress: string;
  readonly query: Uint8Array;
}

function answerMessage(
  active: Active,
  deps: DnsResolverDeps,
  query: Uint8Array,
  transport: DnsTransport,
  clientAddress: string,
  clientPort: number | undefined,
): MaybePromise<Uint8Array | undefined> {
  const vetted = vetRequest(query);
  if (vetted.verdict === 'drop') return undefined;
  if (vetted.verdict === 'refuse') return vetted.reply;
  const { request } = vetted;
  const { name, asked } = askedName(active, request);
  const asking: Asking = { request, name, transport, clientAddress, query };
  const isWatched = deps.onAnswered !== undefined || deps.log.isEnabled('DEBUG');
  const startedMs = isWatched ? deps.env.clock.monotonicMs() : 0;
  const answered = recovering(
    () => answerAsked(active, asking, asked),
    (thrown) => {
      deps.log.error('failed to answer', { name: presentName(name.wire), error: textOf(thrown) });
      return replyTo(active, asking, SERVFAIL_SECTIONS, FLAG_AA | recursionFlag(active), true, false);
    },
  );
  if (!isWatched) return answered;
  return chain(answered, (bytes) => {
    reportAnswered(deps, asking, asked.kind, startedMs, clientPort);
    return bytes;
  });
}

function reportAnswered(
  { env, log, onAnswered }: DnsResolverDeps,
  { request, name, clientAddress, transport }: Asking,
  kind: Asked['kind'],
  startedMs: number,
  clientPort: number | undefined,
): void {
  const elapsedMs = env.clock.monotonicMs() - startedMs;
  // What upstream takes for foreign names says nothing about the zones.
  if (kind !== 'foreign') onAnswered?.(kind === 'reverse' ? 'ptr' : 'domain', elapsedMs);
  if (!log.isEnabled('DEBUG')) return;
  const host = clientAddress.includes(':') ? `[${clientAddress}]` : clientAddress;
  log.debug('request served from client', {
    name: presentName(name.wire),
    type: recordTypeName(request.type),
    class: recordClassName(request.questionClass),
    latency: `${(elapsedMs * 1000).toFixed(3)}µs`,
    client: clientPort === undefined ? clientAddress : `${host}:${clientPort}`,
    client_network: transport,
  });
}

function askedName(active: Active, request: DnsRequest): AskedName {
  const names = request.type === TYPE_SRV ? active.srvNames : active.names;
  const kept = names.get(request.nameKey);
  if (kept !== undefined) return kept;
  const wire = request.question.slice(0, -4);
  const read = readAskedName(wire, request.type, active.answering.zones);
  if (names.size >= MAX_KEPT_NAMES) names.clear();
  names.set(request.nameKey, read);
  return read;
}

function answerAsked(active: Active, asking: Asking, asked: Asked): MaybePromise<Uint8Array | undefined> {
  const { request } = asking;
  switch (asked.kind) {
    case 'foreign':
      return active.answering.recursion === undefined
        ? replyTo(active, asking, SERVFAIL_SECTIONS, 0, false, false)
        : forward(active, asking);
    case 'reverse':
      return chain(answerReverse(active.answering, request.type, asked.address), (sections) =>
        sections === undefined
          ? forward(active, asking)
          : replyTo(active, asking, sections, FLAG_AA | recursionFlag(active), true, false),
      );
    default: {
      const question: ZoneQuestion = {
        name: asking.name,
        type: request.type,
        asked,
        limits: limitsOf(active, asking),
        hasEdns: request.edns !== undefined,
        clientAddress: addressOfSubnet(request.edns?.subnet) ?? asking.clientAddress,
        depth: MAX_CNAME_DEPTH,
      };
      const write = (sections: Sections) =>
        replyTo(active, asking, sections, FLAG_AA | recursionFlag(active), true, asked.kind === 'query');
      const sections = zoneSections(active, question);
      return isPromise(sections) ? sections.then(write) : write(sections);
    }
  }
}

/** Foreign names and unknown reverse names: upstream's reply as received, or SERVFAIL that claims recursion. */
function forward(active: Active, asking: Asking): MaybePromise<Uint8Array> {
  const failure = () => replyTo(active, asking, SERVFAIL_SECTIONS, FLAG_RA, true, false);
  const { recursion } = active.answering;
  if (recursion === undefined) return failure();
  // Streams of any kind have room for answers that UDP would cut.
  const transport = asking.transport === 'udp' ? 'udp' : 'tcp';
  return recursion.forward(asking.query, transport).then((reply) => reply ?? failure());
}

function replyTo(
  { writer, answering }: Active,
  { request, name, transport }: Asking,
  sections: Sections,
  extraFlags: number,
  echoesEdns: boolean,
  isForClient: boolean,
): Uint8Array {
  const form = replyForm(request, name, transport, !answering.config.disableCompression);
  return writeReply(writer, form, sections, extraFlags, echoesEdns, isForClient);
}

function recursionFlag(active: Active): number {
  return active.answering.recursion === undefined ? 0 : FLAG_RA;
}

function limitsOf(active: Active, { request, transport }: Asking) {
  const { edns } = request;
  const optBytes = edns === undefined ? 0 : 11 + (edns.subnet === undefined ? 0 : 24);
  return sizeLimits(transport, edns?.udpSize, optBytes, active.answering.config);
}

function addressOfSubnet(subnet: ClientSubnet | undefined): string | undefined {
  return subnet === undefined || subnet.address.length === 0 ? undefined : formatIp(subnet.address);
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
