/** What all lookups of the resolver share: configuration, zone, lookups, and resolving the host name behind a CNAME. */

import type { Env } from '../env.ts';
import type { Logger } from '../log.ts';
import type { Node } from '../types/v1.ts';
import type { DnsConfig } from './config.ts';
import type { DnsLookups, MaybePromise } from './lookups.ts';
import type { ResourceRecord } from './message.ts';
import type { Name } from './name.ts';
import type { Asked, Zones } from './question-name.ts';
import type { ZoneNames } from './records.ts';
import { soaRecord } from './records.ts';
import type { Recursion } from './recursion.ts';
import type { Sections } from './sections.ts';
import type { ServiceDeck } from './service-instances.ts';
import type { SizeLimits } from './trimming.ts';

/** CNAMEs that stay inside the zones are followed this many steps. */
export const MAX_CNAME_DEPTH = 3;

/** Lives as long as one configuration does. */
export interface Answering {
  readonly config: DnsConfig;
  readonly zones: Zones;
  readonly zone: ZoneNames;
  readonly lookups: DnsLookups;
  readonly env: Env;
  readonly log: Logger;
  /** undefined: no upstream is configured, or the runtime has no way to reach one. */
  readonly recursion: Recursion | undefined;
  readonly rendered: RenderedCache;
  /** Records at a host name: from the zones as for an ANY question, else from upstream; empty when there are none. */
  resolveHost(host: Name, depth: number): MaybePromise<readonly ResourceRecord[]>;
}

/** A question about something in the zones. */
export interface ZoneQuestion {
  readonly name: Name;
  readonly type: number;
  readonly asked: Asked;
  readonly limits: SizeLimits;
  readonly hasEdns: boolean;
  /** For queries that sort by distance from who asks. */
  readonly clientAddress: string;
  /** CNAME steps left, ≥ 0. */
  readonly depth: number;
}

export function soaOf(answering: Answering): ResourceRecord {
  return soaRecord(answering.zone, answering.config, answering.env.clock.nowMs());
}

/** Values built from one lookup result; most results are asked for in a few ways only. */
const MAX_FORMS_A_RESULT = 32;

/**
 * What was built from lookup results, kept for as long as the result itself lives. Results are told apart by
 * identity, which the lookups keep while nothing changed.
 */
export class RenderedCache {
  readonly #nodes = new WeakMap<Node, Map<number, Sections>>();
  readonly #decks = new WeakMap<object, Map<string, ServiceDeck>>();

  node(node: Node, type: number): Sections | undefined {
    return this.#nodes.get(node)?.get(type);
  }

  keepNode(node: Node, type: number, sections: Sections): void {
    const forms = this.#nodes.get(node);
    if (forms === undefined) this.#nodes.set(node, new Map([[type, sections]]));
    else if (forms.size < MAX_FORMS_A_RESULT) forms.set(type, sections);
  }

  /** @param form everything that the deck depends on besides the result */
  deck(result: object, form: string, render: () => ServiceDeck): ServiceDeck {
    const forms = this.#decks.get(result) ?? new Map<string, ServiceDeck>();
    const kept = forms.get(form);
    if (kept !== undefined) return kept;
    const deck = render();
    if (forms.size >= MAX_FORMS_A_RESULT) forms.clear();
    forms.set(form, deck);
    this.#decks.set(result, forms);
    return deck;
  }
}
