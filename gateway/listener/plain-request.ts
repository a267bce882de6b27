/**
 * Reads the plainest HTTP/1.1 requests, so strictly that whoever else reads the same bytes sees the same request.
 * Everything else is called odd and left to node:http, which has the answers for it.
 */

import type { HeaderList } from '../exchange/exchange.ts';

export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  /** The same list for the same header block. Nobody may change it. */
  readonly headers: HeaderList;
  /** Where the body begins in the bytes, and where the next request does. */
  readonly bodyStart: number;
  readonly end: number;
}

/**
 * - `incomplete`: the beginning of what may become a plain request.
 * - `odd`: not for this reader, whatever may follow.
 */
export type ReadOutcome = PlainRequest | 'incomplete' | 'odd';

/** Heads up to this are read here. Longer ones are rare, and node:http has the right answer to those that are too long. */
const MAX_HEAD_BYTES = 16 * 1024;
/** Bodies up to this are read here; longer ones want back-pressure. */
const MAX_BODY_BYTES = 64 * 1024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const HEAD_END = Buffer.from('\r\n\r\n', 'latin1');

/** Only what is an agent's, and only characters that no reader of URLs rewrites or refuses. */
const REQUEST_LINE = /^(GET|PUT|POST|DELETE) (\/v1\/[\x21\x22\x24-\x5b\x5d-\x7e]*) HTTP\/1\.1$/;

const FIELD =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

/** Headers that change how a message is framed or what becomes of its connection. */
const ODD_FIELDS: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'http2-settings',
  'proxy-connection',
  'keep-alive',
]);

/** A header block that was found plain. */
interface PlainBlock {
  readonly headers: HeaderList;
  readonly contentLength: number;
}

const MAX_KNOWN_BLOCKS = 1024;
const MAX_KNOWN_TEXT = 2048;

/** Remembers header blocks: a client sends the same one again and again. */
export class PlainRequestReader {
  /** Two generations: what no client sent while the young one filled up is forgotten. */
  #young = new Map<string, PlainBlock | 'odd'>();
  #old = this.#young;
  readonly #maxHeadBytes: number;

  /** @param maxHeaderBytes longest header block that is served at all */
  constructor(maxHeaderBytes: number) {
    this.#maxHeadBytes = Math.min(MAX_HEAD_BYTES, maxHeaderBytes);
  }

  /** Looks for one request at the beginning of the bytes. */
  read(bytes: Buffer): ReadOutcome {
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1)
      return bytes.length > this.#maxHeadBytes || hasBareLineFeed(bytes) ? 'odd' : 'incomplete';
    if (headEnd > this.#maxHeadBytes) return 'odd';
    const head = bytes.toString('latin1', 0, headEnd);
    const lineEnd = head.indexOf('\r\n');
    if (lineEnd === -1) return 'odd';
    const [, method, target] = REQUEST_LINE.exec(head.slice(0, lineEnd)) ?? [];
    if (method === undefined || target === undefined) return 'odd';
    const block = this.#block(head.slice(lineEnd + 2));
    if (block === 'odd') return 'odd';
    const { headers, contentLength } = block;
    if (contentLength > MAX_BODY_BYTES || (contentLength > 0 && method === 'GET')) return 'odd';
    const bodyStart = headEnd + HEAD_END.length;
    const end = bodyStart + contentLength;
    return end > bytes.length ? 'incomplete' : { method, target, headers, bodyStart, end };
  }

  #block(text: string): PlainBlock | 'odd' {
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const block = this.#old.get(text) ?? parseBlock(text);
    if (text.length > MAX_KNOWN_TEXT) return block;
    if (this.#young.size >= MAX_KNOWN_BLOCKS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, block);
    return block;
  }
}

/** What uses it as the end of a line would be waited for in vain. */
function hasBareLineFeed(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CARRIAGE_RETURN) return true;
  }
  return false;
}

/** @param text the lines between the request line and the empty one, without the last line's end */
function parseBlock(text: string): PlainBlock | 'odd' {
  const headers: string[] = [];
  let hosts = 0;
  let lengths = 0;
  let contentLength = 0;
  for (const line of text.split('\r\n')) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) return 'odd';
    const lower = name.toLowerCase();
    if (ODD_FIELDS.has(lower)) return 'odd';
    if (lower === 'connection' && value.toLowerCase() !== 'keep-alive') return 'odd';
    if (lower === 'host') hosts++;
    if (lower === 'content-length') {
      if (!/^\d{1,9}$/.test(value)) return 'odd';
      lengths++;
      contentLength = Number(value);
    }
    headers.push(name, value);
  }
  return hosts === 1 && lengths <= 1 ? { headers, contentLength } : 'odd';
}
