/** One result of a query, with the texts rendered from it. Shared by everybody who asks the same. */

import { isEmptyJson, renderJson } from '../../shared/json.ts';
import type { JsonReply, ReadMeta, ReadReply } from '../rpc/backend.ts';
import type { QueryResult } from '../state/types.ts';

/** Rendered texts of one value: they outlive an index change that left the value alone. */
interface Texts {
  compact: Uint8Array | undefined;
  pretty: Uint8Array | undefined;
}

/** Told how many bytes a newly rendered text takes. */
export type OnRendered = (bytes: number) => void;

/** Rough memory per element of a list that is kept, bytes. Exact sizes would cost more than they are worth. */
const ELEMENT_BYTES = 256;

/** A text counts twice: its length is also the best guess at what the value behind it takes. */
const TEXT_WEIGHT = 2;

const encoder = new TextEncoder();

/**
 * Invariant: value, index and texts belong together. The prepared promises carry the meta data of a leader, so that
 * the most frequent read costs no allocation.
 */
export class Answer {
  readonly result: QueryResult<unknown>;
  readonly #texts: Texts;
  readonly #onRendered: OnRendered;
  readonly #leaderMeta: ReadMeta;
  #leaderRead: Promise<ReadReply<unknown>> | undefined;
  #leaderJson: Promise<JsonReply> | undefined;
  #leaderPretty: Promise<JsonReply> | undefined;
  #isEmpty: boolean | undefined;

  /** @param previous the answer that this one replaces: its texts are taken over when the value is the same */
  constructor(result: QueryResult<unknown>, previous: Answer | undefined, onRendered: OnRendered) {
    this.result = result;
    this.#onRendered = onRendered;
    const isSameValue = previous !== undefined && previous.result.value === result.value;
    this.#texts = isSameValue ? previous.#texts : { compact: undefined, pretty: undefined };
    this.#leaderMeta = { index: Math.max(1, result.index), knownLeader: true, lastContactMs: 0 };
  }

  get index(): number {
    return this.#leaderMeta.index;
  }

  /** Estimated memory, bytes. */
  get bytes(): number {
    const { value } = this.result;
    const elements = Array.isArray(value) ? value.length : 1;
    const { compact, pretty } = this.#texts;
    return ELEMENT_BYTES * (1 + elements) + TEXT_WEIGHT * ((compact?.length ?? 0) + (pretty?.length ?? 0));
  }

  read(meta: ReadMeta): ReadReply<unknown> {
    return { meta, value: this.result.value };
  }

  json(meta: ReadMeta, pretty: boolean): JsonReply {
    this.#isEmpty ??= isEmptyJson(this.result.value);
    return { meta, body: this.#text(pretty), isEmpty: this.#isEmpty };
  }

  /** As `read`, from a leader: always the same promise. */
  leaderRead(): Promise<ReadReply<unknown>> {
    this.#leaderRead ??= Promise.resolve(this.read(this.#leaderMeta));
    return this.#leaderRead;
  }

  /** As `json`, from a leader: always the same promise. */
  leaderJson(pretty: boolean): Promise<JsonReply> {
    if (pretty) {
      this.#leaderPretty ??= Promise.resolve(this.json(this.#leaderMeta, true));
      return this.#leaderPretty;
    }
    this.#leaderJson ??= Promise.resolve(this.json(this.#leaderMeta, false));
    return this.#leaderJson;
  }

  #text(pretty: boolean): Uint8Array {
    const known = pretty ? this.#texts.pretty : this.#texts.compact;
    if (known !== undefined) return known;
    const text = encoder.encode(renderJson(this.result.value, pretty));
    if (pretty) this.#texts.pretty = text;
    else this.#texts.compact = text;
    this.#onRendered(TEXT_WEIGHT * text.length);
    return text;
  }
}
