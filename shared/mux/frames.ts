/**
 * The frames of the multiplexed protocol between gateway and agent, version 1: names, sizes and the text of heads.
 *
 * A connection begins as HTTP/1.1: `GET /v1/internal/proconsul/mux` with `Connection: Upgrade` and
 * `Upgrade: proconsul-mux/1`, answered by 101. From then on both sides send frames, all numbers big-endian:
 *
 *     length of the payload (4) · kind (1) · stream (4) · payload
 *
 * | kind     | from    | payload                                                                                   |
 * |----------|---------|-------------------------------------------------------------------------------------------|
 * | hello    | agent   | most streams that may be open at once (4)                                                   |
 * | request  | gateway | flags (1) · length of the head (4) · head · body                                           |
 * | response | agent   | flags (1) · status (2) · length of the head (4) · head · body                              |
 * | data     | both    | flags (1) · more of the body                                                               |
 * | window   | both    | bytes of `data` that the receiver is ready for beyond what it was before (4)                |
 * | reset    | both    | reason (1); the stream is over                                                             |
 * | ping     | gateway | a number (4) that the pong brings back                                                      |
 * | pong     | agent   | that number                                                                                |
 * | goaway   | agent   | the last stream that is served (4); later ones were not looked at                          |
 *
 * Streams are numbered upwards from 1 by the gateway. A head is Latin-1 text: method, target, then names and values in
 * turn, one a line; a response's head has names and values only. The body in a `request` or `response` is at most
 * `MAX_BODY_BYTES` and counts against no window; `data` may be sent as far as the window goes, which starts at
 * `WINDOW_BYTES` for each stream and direction.
 */

import { REQUEST_ID_HEADER } from '../request-id.ts';

export const MUX_PATH = '/v1/internal/proconsul/mux';
export const MUX_PROTOCOL = 'proconsul-mux/1';

export const FRAME_HEADER_BYTES = 9;
/** Longest head, as long as an agent's longest header block. */
export const MAX_HEAD_BYTES = 1024 * 1024;
/** Longest body in one frame, so that long answers let short ones pass between their frames. */
export const MAX_BODY_BYTES = 64 * 1024;
/** Longest payload: a head, a body and what stands before them. */
export const MAX_PAYLOAD_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES + 7;
/** What may be sent as `data` before the receiver asks for more. */
export const WINDOW_BYTES = 256 * 1024;
/** No window grows beyond this; a peer that says so is broken. */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

export const KIND = {
  hello: 1,
  request: 2,
  response: 3,
  data: 4,
  window: 5,
  reset: 6,
  ping: 7,
  pong: 8,
  goaway: 9,
} as const;

/** The body ends with this frame. */
export const FLAG_END = 1;

export const RESET = {
  /** Nobody waits for the rest any more. */
  cancelled: 1,
  /** Nothing was done with the request: there were too many, or the agent is about to end. */
  refused: 2,
  /** The answer could not be finished. */
  broken: 3,
} as const;

/** The peer sent what is no frame, or one that has no place here. The connection ends. */
export class MuxProtocolError extends Error {
  override readonly name = 'MuxProtocolError';
}

/** A name or value that a head can't carry, such as one with a line break. */
export class MuxHeadError extends Error {
  override readonly name = 'MuxHeadError';
}

/** What HTTP does not allow in a header; the line feed is between parts. */
const FOREIGN = /[^\t\n\x20-\x7e\x80-\xff]/;

/**
 * Parts as lines.
 *
 * @param lead parts before the headers, such as method and target
 * @throws MuxHeadError when a part holds a control character or one beyond Latin-1
 */
export function headText(lead: readonly string[], headers: readonly string[]): string {
  let text = '';
  let lines = 0;
  for (const part of lead) text += lines++ === 0 ? part : `\n${part}`;
  for (const part of headers) text += lines++ === 0 ? part : `\n${part}`;
  checkHead(text, lines);
  return text;
}

/** @throws MuxHeadError unless the text is so many lines of allowed characters */
export function checkHead(text: string, lines: number): void {
  if (FOREIGN.test(text))
    throw new MuxHeadError('a header or target holds a character that HTTP does not allow');
  let found = 1;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) found++;
  if (found !== Math.max(1, lines)) throw new MuxHeadError('a header or target holds a line break');
}

const MAX_KNOWN_TEXT = 1024;

/**
 * Heads repeat: the same client asks with the same headers, the same object is answered with the same ones.
 * Names and values of a head's text; the lists are shared, so nobody may change them.
 */
export class HeaderLists {
  /** Two generations: what was not asked for while the young one filled up is forgotten. */
  #young = new Map<string, readonly string[]>();
  #old = this.#young;
  readonly #maxKnown: number;

  /** @param maxKnown how many lists are kept for the next time */
  constructor(maxKnown: number) {
    this.#maxKnown = maxKnown;
  }

  /** @throws MuxProtocolError when a name has no value */
  parse(text: string): readonly string[] {
    if (text === '') return NONE;
    if (text.includes(NEVER_AGAIN)) return checkedList(text.split('\n'));
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const list = this.#old.get(text) ?? checkedList(text.split('\n'));
    if (text.length > MAX_KNOWN_TEXT) return list;
    if (this.#young.size >= this.#maxKnown / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, list);
    return list;
  }
}

const NONE: readonly string[] = [];

/** A head with a request ID comes once: remembering it would push out what comes again. */
const NEVER_AGAIN = `\n${REQUEST_ID_HEADER}\n`;

function checkedList(list: readonly string[]): readonly string[] {
  if (list.length % 2 !== 0) throw new MuxProtocolError('a header has no value');
  return list;
}
