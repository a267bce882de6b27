/** Tells a write that a crash cut short from damage to what had been durable. */

import { FRAME_HEADER_BYTES, framePayload, framePayloadLength } from './record.ts';

/** Disks write whole sectors; what a crash kept from the disk reads as zeros. */
const SECTOR_BYTES = 512;

/**
 * Whether the broken frame at `offset`, in the newest segment, can be what a crash left of the last batch.
 *
 * It can if the file ends early or a sector of the frame reads as zeros, and no sound frame follows. Otherwise its
 * bytes did reach the disk once and changed since.
 */
export function isTornTail(bytes: Uint8Array, offset: number): boolean {
  if (hasFrameAfter(bytes, offset + 1)) return false;
  const available = bytes.length - offset;
  if (available < FRAME_HEADER_BYTES) return true;
  const length = framePayloadLength(bytes, offset);
  if (length === undefined) return hasZeroSector(bytes, offset, offset + FRAME_HEADER_BYTES);
  const end = offset + FRAME_HEADER_BYTES + length;
  return end > bytes.length || hasZeroSector(bytes, offset, end);
}

/** The frame header carries its own checksum, so that this costs one short CRC a byte. */
function hasFrameAfter(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at + FRAME_HEADER_BYTES < bytes.length; at++)
    // Only the first bytes of lengths up to 1 GiB pass; spares most of the checksums.
    if ((bytes[at] as number) <= 0x40 && framePayload(bytes, at) !== undefined) return true;
  return false;
}

/** Whether a sector that overlaps `start`…`end` is zero as far as it lies behind `start`. */
function hasZeroSector(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const next = Math.min(bytes.length, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (bytes.subarray(at, next).every((byte) => byte === 0)) return true;
    at = next;
  }
  return false;
}
