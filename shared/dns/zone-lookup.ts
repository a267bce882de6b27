/** Answering names of the zones: the lookup that a name asks for, cut to size, and host names behind CNAMEs. */

import { type ConsulError, toConsulError } from '../errors.ts';
import { type Answering, soaOf, type ZoneQuestion } from './answering.ts';
import type { MaybePromise } from './lookups.ts';
import { chain, recovering } from './maybe-promise.ts';
import type { ResourceRecord } from './message.ts';
import type { MessageWriter } from './message-writer.ts';
import { type Name, presentName } from './name.ts';
import { answerNode } from './node-answer.ts';
import { isInsideZones, readAskedName } from './question-name.ts';
import { RCODE_NOTIMP, TYPE_ANY, TYPE_AXFR, TYPE_NS, TYPE_SOA } from './record-types.ts';
import { writeSections } from './reply.ts';
import { EMPTY_SECTIONS, nameError, noData, SERVFAIL_SECTIONS, type Sections } from './sections.ts';
import { answerPreparedQuery, answerService } from './service-answer.ts';
import { sizeLimits, trimSections } from './trimming.ts';
import { answerAddress, answerNs, answerSoa } from './zone-answer.ts';

/** What answering needs besides the lookups: a writer to measure with. */
export interface Zone {
  readonly answering: Answering;
  readonly writer: MessageWriter;
}

/** Sections for a name of the zones, cut to the limits. Lookup errors become response codes here. */
export function zoneSections(zone: Zone, question: ZoneQuestion): MaybePromise<Sections> {
  const { answering } = zone;
  return recovering(
    () => chain(lookUp(answering, question), (sections) => cut(zone, question, sections)),
    (thrown) => sectionsOfError(answering, toConsulError(thrown)),
  );
}

function lookUp(answering: Answering, question: ZoneQuestion): MaybePromise<Sections> {
  if (question.type === TYPE_SOA) return answerSoa(answering);
  if (question.type === TYPE_NS) return answerNs(answering);
  if (question.type === TYPE_AXFR) return { ...EMPTY_SECTIONS, rcode: RCODE_NOTIMP };
  const { asked } = question;
  switch (asked.kind) {
    case 'service':
      return answerService(answering, question, asked.lookup);
    case 'node':
      return answerNode(answering, question, asked.node, asked.datacenter);
    case 'query':
      return answerPreparedQuery(answering, question, asked.query, asked.datacenter);
    case 'address':
      return answerAddress(answering, question.name, asked.label);
    case 'invalid':
    case 'foreign':
    case 'reverse':
      answering.log.warn('QName invalid', { qname: presentName(question.name.wire) });
      return nameError(soaOf(answering));
  }
}

function sectionsOfError(answering: Answering, error: ConsulError): Sections {
  if (error.code === 'no-path-to-datacenter' || error.code === 'not-found')
    return nameError(soaOf(answering));
  answering.log.error('rpc error', { error: error.message });
  return SERVFAIL_SECTIONS;
}

function cut(zone: Zone, question: ZoneQuestion, sections: Sections): Sections {
  if (sections.trim === undefined) return sections;
  const { answering, writer } = zone;
  const { config } = answering;
  const measure = {
    questionNameBytes: question.name.wire.length,
    compresses: !config.disableCompression,
    compressedSize(candidate: Sections) {
      const bytes = new Uint8Array(question.name.wire.length + 4);
      bytes.set(question.name.wire);
      writeSections(writer, 0, 0, { bytes, name: question.name }, true, candidate);
      return writer.length;
    },
  };
  const trimmed = trimSections(sections, question.limits, measure, config.enableTruncate);
  const isNothingLeft = trimmed.answers.length === 0 && trimmed.isTruncated !== true;
  return isNothingLeft ? noData(soaOf(answering)) : trimmed;
}

/** Consul resolves such names as an ANY question over UDP; whatever fails leaves the CNAME alone in the answer. */
export function resolveHost(zone: Zone, host: Name, depth: number): MaybePromise<readonly ResourceRecord[]> {
  const { answering } = zone;
  if (!isInsideZones(host.wire, answering.zones)) return answering.recursion?.addressRecords(host) ?? [];
  if (depth < 1) {
    answering.log.error("Infinite recursion detected for name, won't perform any CNAME resolution.", {
      name: presentName(host.wire),
    });
    return [];
  }
  const question: ZoneQuestion = {
    name: host,
    type: TYPE_ANY,
    asked: readAskedName(host.wire, TYPE_ANY, answering.zones).asked,
    limits: sizeLimits('udp', undefined, 0, answering.config),
    hasEdns: false,
    clientAddress: '',
    depth: depth - 1,
  };
  return chain(zoneSections(zone, question), ({ answers }) =>
    answers.map((record) => (record.owner === undefined ? { ...record, owner: host } : record)),
  );
}
