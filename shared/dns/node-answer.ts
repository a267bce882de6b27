/** Answers about nodes: address, host name, meta as text (reference: node lookups). */

import type { Node } from '../types/v1.ts';
import { parseIp } from './addresses.ts';
import { type Answering, soaOf, type ZoneQuestion } from './answering.ts';
import { ttlSeconds } from './config.ts';
import type { MaybePromise } from './lookups.ts';
import { chain, isPromise } from './maybe-promise.ts';
import type { ResourceRecord } from './message.ts';
import { type Name, nameFromText } from './name.ts';
import { TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_TXT } from './record-types.ts';
import { addressRecord, cnameRecord, nodeMetaRecords } from './records.ts';
import { answered, EMPTY_SECTIONS, nameError, type Sections } from './sections.ts';
import { nodeAddress } from './translation.ts';

/** Types without a meaning for nodes are empty answers, and cost no lookup. */
export function answerNode(
  answering: Answering,
  question: ZoneQuestion,
  node: string,
  datacenter: string,
): MaybePromise<Sections> {
  const { type } = question;
  if (type !== TYPE_A && type !== TYPE_AAAA && type !== TYPE_ANY && type !== TYPE_TXT) return EMPTY_SECTIONS;
  return chain(answering.lookups.node(node, datacenter), (found) => {
    if (found === undefined) return nameError(soaOf(answering));
    return answering.rendered.node(found, type) ?? renderNode(answering, question, found);
  });
}

/**
 * Address records of a node: none when its address is of the other family; for a host name CNAME and what is behind.
 *
 * @param owner undefined: the question's name
 */
export function nodeAddressRecords(
  answering: Answering,
  node: Node,
  type: number,
  owner: Name | undefined,
  depth: number,
): MaybePromise<readonly ResourceRecord[]> {
  const ttl = ttlSeconds(answering.config.nodeTtlMs);
  const address = nodeAddress(node, type, answering.config);
  const ip = parseIp(address);
  if (ip !== undefined) {
    const isWanted = type === TYPE_ANY || type === (ip.length === 4 ? TYPE_A : TYPE_AAAA);
    return isWanted ? [addressRecord(owner, ttl, ip)] : [];
  }
  const host = nameFromText(address);
  if (host === undefined || host.suffixes.length === 0) return [];
  const cname = cnameRecord(owner, ttl, host);
  return chain(answering.resolveHost(host, depth), (behind) => [cname, ...behind]);
}

function renderNode(answering: Answering, question: ZoneQuestion, node: Node): MaybePromise<Sections> {
  const { type } = question;
  const addresses =
    type === TYPE_TXT ? [] : nodeAddressRecords(answering, node, type, undefined, question.depth);
  const withMeta = (records: readonly ResourceRecord[]): Sections => {
    const isMetaAsked = type === TYPE_ANY || type === TYPE_TXT;
    if (!isMetaAsked && !answering.config.enableAdditionalNodeMetaTxt) return answered(records);
    const texts = nodeMetaRecords(undefined, ttlSeconds(answering.config.nodeTtlMs), node.Meta);
    return isMetaAsked ? answered([...records, ...texts]) : answered(records, texts);
  };
  if (isPromise(addresses)) return addresses.then(withMeta);
  const sections = withMeta(addresses);
  // What is behind a host name changes without the node changing.
  const isLasting = !addresses.some((record) => record.rdata.kind === 'name');
  if (isLasting) answering.rendered.keepNode(node, type, sections);
  return sections;
}
