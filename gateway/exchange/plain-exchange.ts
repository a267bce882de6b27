/** An exchange straight over a socket: the answer is one buffer in one write, shared by callers who get the same at the same time. */

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Clock } from '../../shared/env.ts';
import {
  type Answer,
  type Exchange,
  type HeaderList,
  NO_BODY,
  type RequestBody,
  type WholeAnswer,
} from './exchange.ts';

export interface PlainParts {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  /** undefined: none. */
  readonly body: Uint8Array | undefined;
  readonly clientAddress: string;
}

/** As node:http announces it; the connection itself is kept as long. */
const KEEP = 'Connection: keep-alive\r\nKeep-Alive: timeout=120\r\n';
const CLOSE = 'Connection: close\r\n';

/** Bodies from this size on are written as they are, behind their head; shorter ones are copied into one buffer with it. */
const OWN_PIECE_FROM_BYTES = 16 * 1024;

const NOT_GONE = () => undefined;

export class PlainExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly clientAddress: string;
  readonly protocol = 'HTTP/1.1';
  /** The connection ends with this answer. */
  closesAfter = false;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #body: Uint8Array | undefined;
  #gone: () => void = NOT_GONE;

  constructor(socket: Socket, clock: Clock, parts: PlainParts) {
    this.method = parts.method;
    this.target = parts.target;
    this.headers = parts.headers;
    this.clientAddress = parts.clientAddress;
    this.#body = parts.body;
    this.#socket = socket;
    this.#clock = clock;
  }

  readBody(limitBytes: number): RequestBody | Promise<RequestBody> {
    const bytes = this.#body;
    if (bytes === undefined) return NO_BODY;
    if (bytes.length <= limitBytes) return { kind: 'bytes', bytes, isChunked: false };
    return { kind: 'stream', chunks: once(bytes), length: bytes.length };
  }

  onClientGone(gone: () => void): () => void {
    this.#gone = gone;
    return () => {
      this.#gone = NOT_GONE;
    };
  }

  clientGone(): void {
    const gone = this.#gone;
    this.#gone = NOT_GONE;
    gone();
  }

  respond(answer: Answer): Response | Promise<Response> {
    const socket = this.#socket;
    if (answer.body instanceof Uint8Array) {
      this.#gone = NOT_GONE;
      if (!socket.destroyed) this.#write(answer as WholeAnswer);
      return RESPONSE_ALREADY_SENT;
    }
    if (socket.destroyed) {
      void answer.body.cancel();
      return RESPONSE_ALREADY_SENT;
    }
    return this.#stream(answer.status, answer.headers, answer.body).then(() => RESPONSE_ALREADY_SENT);
  }

  #write({ status, headers, body }: WholeAnswer): void {
    const second = Math.floor(this.#clock.nowMs() / 1000);
    const { last } = this.closesAfter ? NO_RENDERED : RENDERED;
    if (last?.body === body && last.headers === headers && last.status === status && last.second === second) {
      this.#socket.write(last.bytes);
      return;
    }
    const isBodiless = status === 204 || status === 304;
    const fields = fieldsOf(headers);
    if (fields.closes) this.closesAfter = true;
    const length = isBodiless ? undefined : String(body.length);
    const head = this.#head(status, fields, second) + lengthField(status === 304 ? fields.length : length);
    const end = '\r\n';
    const sent = isBodiless ? 0 : body.length;
    if (sent >= OWN_PIECE_FROM_BYTES) {
      this.#socket.cork();
      this.#socket.write(head + end, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
      return;
    }
    const bytes = Buffer.allocUnsafe(head.length + end.length + sent);
    bytes.write(head + end, 0, 'latin1');
    if (sent > 0) bytes.set(body, head.length + end.length);
    if (!this.closesAfter) RENDERED.last = { status, headers, body, second, bytes };
    this.#socket.write(bytes);
  }

  #head(status: number, fields: Fields, second: number): string {
    const date = fields.hasDate ? '' : `Date: ${dateOf(second)}\r\n`;
    const keep = this.closesAfter ? CLOSE : KEEP;
    return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.text}${date}${keep}`;
  }

  /** With back-pressure, chunked unless its length is announced. An upstream that breaks off cuts the connection, so that the client sees it. */
  async #stream(status: number, headers: HeaderList, body: ReadableStream<Uint8Array>): Promise<void> {
    const socket = this.#socket;
    const fields = fieldsOf(headers);
    if (fields.closes) this.closesAfter = true;
    const isChunked = fields.length === undefined;
    let leftBytes = Number(fields.length ?? 0);
    const reader = body.getReader();
    const cancel = () => {
      // The reader is done for either way; its own complaint tells nobody anything.
      reader.cancel().catch(() => undefined);
    };
    socket.once('close', cancel);
    try {
      const head = this.#head(status, fields, Math.floor(this.#clock.nowMs() / 1000));
      socket.write(
        `${head}${isChunked ? 'Transfer-Encoding: chunked\r\n' : lengthField(fields.length)}\r\n`,
        'latin1',
      );
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (socket.destroyed) return;
        leftBytes -= part.value.length;
        if (!isChunked && leftBytes < 0) break;
        if (!writePart(socket, part.value, isChunked)) await drained(socket);
      }
      if (isChunked) socket.write('0\r\n\r\n', 'latin1');
      else if (leftBytes !== 0) socket.destroy();
    } catch {
      socket.destroy();
    } finally {
      socket.off('close', cancel);
      if (!socket.destroyed) this.#gone = NOT_GONE;
    }
  }
}

interface Rendered {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
  /** Of the Date header. */
  readonly second: number;
  readonly bytes: Buffer;
}

/** The answer that was written last: callers who share one are answered one after the other. */
const RENDERED: { last: Rendered | undefined } = { last: undefined };
const NO_RENDERED = { last: undefined } as const;

/** Headers as text, with what they say about the message. */
interface Fields {
  readonly text: string;
  readonly hasDate: boolean;
  /** The length that the agent announced; no part of the text. */
  readonly length: string | undefined;
  readonly closes: boolean;
}

/** By the identity of the list, which repeats with the answers of an agent that had nothing new to say. */
const known = new WeakMap<HeaderList, Fields>();

function fieldsOf(headers: HeaderList): Fields {
  const found = known.get(headers);
  if (found !== undefined) return found;
  let text = '';
  let hasDate = false;
  let length: string | undefined;
  let closes = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    const lower = name.length === 4 || name.length === 10 || name.length === 14 ? name.toLowerCase() : '';
    if (lower === 'connection') {
      closes = value.toLowerCase() === 'close';
      continue;
    }
    // What could end the line early would let an agent's answer pass as two.
    if (!FIELD_TEXT.test(name) || !FIELD_TEXT.test(value)) continue;
    if (lower === 'content-length') {
      length = /^\d{1,15}$/.test(value) ? value : undefined;
      continue;
    }
    if (lower === 'date') hasDate = true;
    text += `${name}: ${value}\r\n`;
  }
  const fields = { text, hasDate, length, closes };
  known.set(headers, fields);
  return fields;
}

const FIELD_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

function lengthField(length: string | undefined): string {
  return length === undefined ? '' : `Content-Length: ${length}\r\n`;
}

const date = { second: 0, text: '' };

function dateOf(second: number): string {
  if (date.second !== second) {
    date.second = second;
    date.text = new Date(second * 1000).toUTCString();
  }
  return date.text;
}

function writePart(socket: Socket, part: Uint8Array, isChunked: boolean): boolean {
  if (!isChunked) return socket.write(part);
  if (part.length === 0) return true;
  socket.cork();
  socket.write(`${part.length.toString(16)}\r\n`, 'latin1');
  socket.write(part);
  const isReady = socket.write('\r\n', 'latin1');
  socket.uncork();
  return isReady;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
