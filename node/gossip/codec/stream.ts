/** The TCP envelope: compression and encryption around one message, and where that message ends in a byte stream. */

import { compressMessage, decompressMessage } from './compression.ts';
import { decryptBlob, ENCRYPTION_OVERHEAD, encryptBlob } from './encryption.ts';
import { MAX_STREAM_BYTES, MessageType } from './message-type.ts';
import { DecodeError, EndOfInput, forEachField, MsgpackReader } from './msgpack-reader.ts';
import type { PacketSecurity } from './packet.ts';
import { readPushPullHeader } from './push-pull.ts';

/** Type byte and length of the encrypted form; also what the encryption authenticates. */
const ENCRYPT_HEADER_BYTES = 5;
/** Largest bytes of encryption and compression framing around a full-size message. */
const FRAMING_BYTES = 64;

/** First bytes of what may travel on a stream, in either direction. */
const STREAM_TYPES: ReadonlySet<number | undefined> = new Set([
  MessageType.ping,
  MessageType.ack,
  MessageType.pushPull,
  MessageType.user,
  MessageType.compress,
  MessageType.encrypt,
  MessageType.error,
]);

export type StreamResult =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  /** The text is what the peer is told and the log says. */
  | { readonly kind: 'refused'; readonly problem: string };

/** Compresses always (as peers do, even when that grows) and encrypts when a key is at hand. */
export function sealStream(
  message: Uint8Array,
  security: PacketSecurity,
  nonce: () => Uint8Array,
): Uint8Array {
  const compressed = compressMessage(message);
  const key = security.verifyOutgoing ? security.keyring.primary : undefined;
  return key === undefined ? compressed : encryptForStream(key, nonce(), compressed);
}

/** @param nonce 12 fresh random bytes */
export function encryptForStream(key: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array {
  const header = new Uint8Array(ENCRYPT_HEADER_BYTES);
  header[0] = MessageType.encrypt;
  // The length is authenticated, so it is known before encrypting: version, nonce and tag come on top.
  const blobLength = message.length + ENCRYPTION_OVERHEAD;
  new DataView(header.buffer).setUint32(1, blobLength);
  const blob = encryptBlob(key, nonce, message, header);
  const result = new Uint8Array(ENCRYPT_HEADER_BYTES + blob.length);
  result.set(header);
  result.set(blob, ENCRYPT_HEADER_BYTES);
  return result;
}

/** The plain message in a complete stream, type byte first. */
export function openStream(bytes: Uint8Array, security: PacketSecurity): StreamResult {
  let plain = bytes;
  if (bytes[0] === MessageType.encrypt) {
    if (security.keyring.isEmpty)
      return refused('Remote state is encrypted and encryption is not configured');
    const header = bytes.subarray(0, ENCRYPT_HEADER_BYTES);
    const opened = decryptBlob(security.keyring.keys, bytes.subarray(ENCRYPT_HEADER_BYTES), header);
    if (opened === undefined) return refused('No installed keys could decrypt the message');
    plain = opened;
  } else if (!security.keyring.isEmpty && security.verifyIncoming) {
    return refused('Encryption is configured but remote state is not encrypted');
  }
  if (plain[0] !== MessageType.compress) return { kind: 'message', message: plain };
  const inner = decompressMessage(plain, MAX_STREAM_BYTES);
  return inner === undefined ? refused('failed to decompress stream') : { kind: 'message', message: inner };
}

/**
 * Collects chunks until one whole message (still sealed) is there, never holding more than the stream limit.
 *
 * Invariant: `#length` bytes are held in `#buffer`, no complete message has been seen among them yet, and at least
 * `#needed` bytes are needed for one, so that a message is not scanned again for every chunk.
 */
export class StreamAssembler {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 0;
  #needed = 1;
  #plainScan: PlainScan | undefined;

  /** Bytes received so far. */
  get length(): number {
    return this.#length;
  }

  /** @returns the whole message once it is there, a refusal, or undefined while more is needed */
  push(chunk: Uint8Array): StreamResult | undefined {
    if (this.#length + chunk.length > MAX_STREAM_BYTES + FRAMING_BYTES)
      return refused(`Remote node state is larger than limit (${this.#length + chunk.length})`);
    this.#append(chunk);
    const type = this.#buffer[0];
    // Anything else, a labelled stream or a lost web browser, will never become a message.
    if (this.#length > 0 && !STREAM_TYPES.has(type)) return refused(`Received invalid msgType (${type})`);
    if (this.#length < this.#needed) return undefined;
    try {
      const end = this.#messageEnd();
      if (end === undefined) return undefined;
      return { kind: 'message', message: this.#buffer.subarray(0, end) };
    } catch (thrown) {
      if (thrown instanceof DecodeError) return refused(thrown.message);
      throw thrown;
    }
  }

  #append(chunk: Uint8Array): void {
    const total = this.#length + chunk.length;
    if (total > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(total, Math.min(this.#buffer.length * 2, MAX_STREAM_BYTES)));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = total;
  }

  /** Where the message ends; undefined while that is beyond what is there. */
  #messageEnd(): number | undefined {
    if (this.#buffer[0] === MessageType.encrypt) return this.#encryptedEnd();
    this.#plainScan ??= new PlainScan();
    const end = this.#plainScan.advance(this.#buffer.subarray(0, this.#length));
    if (end === undefined) this.#needed = this.#plainScan.needed;
    if (this.#needed > MAX_STREAM_BYTES + FRAMING_BYTES)
      throw new DecodeError(`Remote node state is larger than limit (${this.#needed})`);
    return end;
  }

  #encryptedEnd(): number | undefined {
    if (this.#length < ENCRYPT_HEADER_BYTES) {
      this.#needed = ENCRYPT_HEADER_BYTES;
      return undefined;
    }
    const blobLength = this.#buffer.readUInt32BE(1);
    if (blobLength > MAX_STREAM_BYTES)
      throw new DecodeError(`Remote node state is larger than limit (${blobLength})`);
    this.#needed = ENCRYPT_HEADER_BYTES + blobLength;
    return this.#length < this.#needed ? undefined : this.#needed;
  }
}

/**
 * Finds the end of a message that is not encrypted, resuming at the last value it could not step over, so that all
 * chunks together are scanned about once.
 *
 * Invariant: everything before `#at` has been stepped over; `#values` whole values and then `#tail` raw bytes remain.
 */
class PlainScan {
  #at = 1;
  #values = 1;
  #tail = 0;
  #isHeaderRead = false;
  /** Length of input to wait for before scanning on. */
  needed = 2;

  advance(bytes: Uint8Array): number | undefined {
    try {
      while (this.#values > 0) this.#step(bytes);
    } catch (thrown) {
      if (!(thrown instanceof EndOfInput)) throw thrown;
      this.needed = thrown.needed;
      return undefined;
    }
    this.needed = this.#at + this.#tail;
    return this.needed <= bytes.length ? this.needed : undefined;
  }

  #step(bytes: Uint8Array): void {
    const reader = new MsgpackReader(bytes, this.#at);
    reader.skip();
    if (this.#isHeaderRead) this.#values -= 1;
    else this.#readHeader(bytes);
    this.#at = reader.position;
  }

  /** Learns from the first value what follows it. */
  #readHeader(bytes: Uint8Array): void {
    this.#isHeaderRead = true;
    this.#values = 0;
    const reader = new MsgpackReader(bytes, 1);
    if (bytes[0] === MessageType.pushPull) {
      const header = readPushPullHeader(reader);
      this.#values = header.nodes;
      this.#tail = header.userStateBytes;
    } else if (bytes[0] === MessageType.user) {
      this.#tail = readUserMessageLength(reader);
    }
  }
}

/** Length of the user message that follows the header on a stream. @throws DecodeError */
export function readUserMessageLength(reader: MsgpackReader): number {
  let length = 0;
  forEachField(reader, (key) => {
    if (key === 'UserMsgLen') length = reader.uint(MAX_STREAM_BYTES);
    else reader.skip();
  });
  return length;
}

function refused(problem: string): StreamResult {
  return { kind: 'refused', problem };
}
