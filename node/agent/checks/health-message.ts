/** The two messages of `grpc.health.v1.Health/Check`, with gRPC's five-byte frame around them. */

/** `HealthCheckResponse.ServingStatus`; UNKNOWN is the default. */
export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

const STATUSES: readonly ServingStatus[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const FRAME_HEADER_BYTES = 5;
const SERVICE_FIELD_TAG = 0x0a;
const STATUS_FIELD = 1;

/** A framed `HealthCheckRequest{service}`; the empty service asks for the whole server. */
export function encodeHealthRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const message = name.length === 0 ? [] : [SERVICE_FIELD_TAG, ...varint(name.length), ...name];
  const frame = new Uint8Array(FRAME_HEADER_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

/** The status of a framed `HealthCheckResponse`; undefined when the bytes are not one. */
export function decodeHealthResponse(frame: Uint8Array): ServingStatus | undefined {
  if (frame.length < FRAME_HEADER_BYTES || frame[0] !== 0) return undefined;
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(1);
  if (frame.length < FRAME_HEADER_BYTES + length) return undefined;
  const message = frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length);
  let status = 0;
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    if (tag === undefined) return undefined;
    const field = readField(message, tag.end, tag.value & 7);
    if (field === undefined) return undefined;
    if (tag.value >> 3 === STATUS_FIELD && (tag.value & 7) === 0) status = field.value;
    at = field.end;
  }
  return STATUSES[status] ?? 'UNKNOWN';
}

interface Piece {
  readonly value: number;
  readonly end: number;
}

/** Reads or skips one field of any wire type. */
function readField(message: Uint8Array, at: number, wireType: number): Piece | undefined {
  if (wireType === 0) return readVarint(message, at);
  if (wireType === 1) return within(message, at + 8);
  if (wireType === 5) return within(message, at + 4);
  if (wireType !== 2) return undefined;
  const length = readVarint(message, at);
  return length === undefined ? undefined : within(message, length.end + length.value);
}

function within(message: Uint8Array, end: number): Piece | undefined {
  return end <= message.length ? { value: 0, end } : undefined;
}

function readVarint(message: Uint8Array, from: number): Piece | undefined {
  let value = 0;
  for (let at = from; at < message.length && at < from + 10; at++) {
    const byte = message[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - from));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
