/**
 * Frames on a connection to the RPC port: `length u32 · type u8 · id u32 · payload`, big-endian, where length counts
 * everything after itself. A connection opens with a fixed preface and one byte that says what it carries.
 */

/** First bytes of every connection; the last one is the protocol version. */
export const PREFACE = Buffer.from([0x50, 0x43, 0x4e, 0x01]);

/** The byte after the preface. */
export const STREAM_KIND = { rpc: 1, raft: 2, snapshot: 3 } as const;
export type StreamKind = keyof typeof STREAM_KIND;

export const FRAME_TYPE = {
  request: 1,
  /** The caller no longer wants the answer. */
  cancel: 2,
  /** A msgpack value. */
  value: 3,
  /** Rendered JSON behind its meta data. */
  json: 4,
  error: 5,
  ping: 6,
  pong: 7,
} as const;
export type FrameType = (typeof FRAME_TYPE)[keyof typeof FRAME_TYPE];

const LENGTH_BYTES = 4;
const HEAD_BYTES = 5;
/** Bytes before the payload. */
export const FRAME_OVERHEAD = LENGTH_BYTES + HEAD_BYTES;

/** Requests carry arguments: the largest is a 512 KiB value or a transaction of that size. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Answers carry whole lists. */
export const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** The peer does not speak this protocol, or lies about lengths: the connection ends. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** @param payloadBytes what follows the header */
export function frameHeader(type: FrameType, id: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_OVERHEAD);
  header.writeUInt32BE(HEAD_BYTES + payloadBytes, 0);
  header.writeUInt8(type, LENGTH_BYTES);
  header.writeUInt32BE(id, LENGTH_BYTES + 1);
  return header;
}

/** Payloads may share memory with the received chunk: valid until kept by whoever wants them. */
export type ReceiveFrame = (type: number, id: number, payload: Buffer) => void;

/**
 * Cuts a byte stream into frames. Memory grows with what has arrived, not with what a length field claims.
 *
 * Invariant: `#held` are the bytes of at most one incomplete frame, `#heldBytes` in all; `#wanted` is how many are
 * needed before another look is worth it.
 */
export class FrameDecoder {
  readonly #maxPayloadBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #wanted = FRAME_OVERHEAD;

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /** @throws FrameError when a length is impossible; the decoder must not be used after that */
  push(chunk: Buffer, receive: ReceiveFrame): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wanted) return;
    const bytes = this.#held.length === 1 ? chunk : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    let at = 0;
    while (bytes.length - at >= FRAME_OVERHEAD) {
      const end = at + LENGTH_BYTES + this.#checkedLength(bytes.readUInt32BE(at));
      if (end > bytes.length) break;
      receive(
        bytes.readUInt8(at + LENGTH_BYTES),
        bytes.readUInt32BE(at + LENGTH_BYTES + 1),
        bytes.subarray(at + FRAME_OVERHEAD, end),
      );
      at = end;
    }
    this.#keep(bytes, at);
  }

  #keep(bytes: Buffer, at: number): void {
    const left = bytes.length - at;
    this.#wanted = left < FRAME_OVERHEAD ? FRAME_OVERHEAD : LENGTH_BYTES + bytes.readUInt32BE(at);
    if (left === 0) return;
    this.#held.push(at === 0 ? bytes : bytes.subarray(at));
    this.#heldBytes = left;
  }

  #checkedLength(length: number): number {
    if (length < HEAD_BYTES) throw new FrameError(`frame length ${length} is below its header`);
    if (length - HEAD_BYTES > this.#maxPayloadBytes) {
      throw new FrameError(`frame of ${length} bytes is above the limit of ${this.#maxPayloadBytes}`);
    }
    return length;
  }
}
