/** gzip of answers. Shared bodies are compressed once, small ones are only wrapped, large ones leave the main thread. */

import { promisify } from 'node:util';
import { crc32, gzip, gzipSync } from 'node:zlib';

/** Below this, deflating costs more than it saves, and the format allows a stored block. */
const STORED_BELOW_BYTES = 512;
const ASYNC_FROM_BYTES = 32 * 1024;

/** Speed over ratio: the answers are short-lived and mostly local. */
const OPTIONS = { level: 1 };

const gzipAsync = promisify<Uint8Array, { level: number }, Buffer>(gzip);

/** Results by the identity of the body, which the render cache shares among callers and drops in its own time. */
const compressed = new WeakMap<Uint8Array, Buffer>();

/** Whether an Accept-Encoding header names gzip with a quality above 0. */
export function acceptsGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  if (header === 'gzip') return true;
  const lower = header.toLowerCase();
  if (!lower.includes('gzip')) return false;
  if (!lower.includes('q=')) return lower.split(',').some((coding) => coding.trim() === 'gzip');
  return lower.split(',').some((entry) => {
    const [coding, ...parameters] = entry.split(';').map((part) => part.trim());
    if (coding !== 'gzip') return false;
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return quality === undefined || Number(quality.slice(2)) > 0;
  });
}

/** The body as a gzip stream; at once unless it is large. */
export function gzipBody(body: Uint8Array | string): Buffer | Promise<Buffer> {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  const known = compressed.get(bytes);
  if (known !== undefined) return known;
  if (bytes.length < STORED_BELOW_BYTES) return gzipStored(bytes);
  if (bytes.length < ASYNC_FROM_BYTES) return remember(bytes, gzipSync(bytes, OPTIONS));
  return gzipAsync(bytes, OPTIONS).then((result) => remember(bytes, result));
}

function remember(bytes: Uint8Array, result: Buffer): Buffer {
  compressed.set(bytes, result);
  return result;
}

const HEADER_BYTES = 10;
const BLOCK_HEADER_BYTES = 5;
const TRAILER_BYTES = 8;

/** RFC 1952 around one stored block of RFC 1951. `bytes` is shorter than 64 KiB. */
export function gzipStored(bytes: Uint8Array): Buffer {
  const { length } = bytes;
  const out = Buffer.alloc(HEADER_BYTES + BLOCK_HEADER_BYTES + length + TRAILER_BYTES);
  out.writeUInt32LE(0x00088b1f, 0);
  out[9] = 0xff;
  out[10] = 1;
  out.writeUInt16LE(length, 11);
  out.writeUInt16LE(length ^ 0xffff, 13);
  out.set(bytes, HEADER_BYTES + BLOCK_HEADER_BYTES);
  const trailer = HEADER_BYTES + BLOCK_HEADER_BYTES + length;
  out.writeUInt32LE(crc32(bytes), trailer);
  out.writeUInt32LE(length, trailer + 4);
  return out;
}
