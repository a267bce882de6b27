/** The UDP envelope: compound, compression, checksum and encryption around messages, and all of it undone. */

import { crc32 } from 'node:zlib';
import { decodeCompound, encodeCompound } from './compound.ts';
import { compressMessage, decompressMessage } from './compression.ts';
import { decryptBlob, encryptBlob } from './encryption.ts';
import type { Keyring } from './keyring.ts';
import { MessageType } from './message-type.ts';

const CRC_HEADER_BYTES = 5;
const NO_BYTES = new Uint8Array(0);

/** Envelopes may nest this deep; peers send compress(compound(…)), which is two. */
const MAX_NESTING = 4;
/** All that one packet may decompress to. A peer packs at most one datagram before compressing. */
const MAX_DECOMPRESSED_BYTES = 128 * 1024;

export interface PacketSecurity {
  readonly keyring: Keyring;
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
}

/** One or more messages as a datagram. `withCrc` only for peers whose protocol maximum is at least 5. */
export function sealPacket(
  messages: readonly Uint8Array[],
  withCrc: boolean,
  security: PacketSecurity,
  nonce: () => Uint8Array,
): Uint8Array {
  const [only = NO_BYTES] = messages;
  const plain = messages.length === 1 ? only : encodeCompound(messages);
  const compressed = compressMessage(plain);
  const smaller = compressed.length < plain.length ? compressed : plain;
  const checked = withCrc ? withChecksum(smaller) : smaller;
  const key = security.verifyOutgoing ? security.keyring.primary : undefined;
  return key === undefined ? checked : encryptBlob(key, nonce(), checked, NO_BYTES);
}

/**
 * Opens a datagram and calls `onMessage` with each plain message in it, type byte first, in order.
 * Malformed parts are reported to `onProblem` (text in memberlist's words) and dropped; never throws.
 */
export function openPacket(
  packet: Uint8Array,
  security: PacketSecurity,
  onMessage: (message: Uint8Array) => void,
  onProblem: (text: string) => void,
): void {
  // Consul sets no label, so a labelled packet is meant for someone else.
  if (packet[0] === MessageType.hasLabel) return;
  const opened = decrypted(packet, security);
  if (opened === undefined) {
    onProblem('Decrypt packet failed: No installed keys could decrypt the message');
    return;
  }
  const checked = withoutChecksum(opened);
  if (checked === undefined) {
    onProblem('Got invalid checksum for UDP packet');
    return;
  }
  const budget = { bytes: MAX_DECOMPRESSED_BYTES };
  unwrap(checked, MAX_NESTING, budget, onMessage, onProblem);
}

function unwrap(
  bytes: Uint8Array,
  depth: number,
  budget: { bytes: number },
  onMessage: (message: Uint8Array) => void,
  onProblem: (text: string) => void,
): void {
  if (bytes.length === 0) {
    onProblem('missing message type byte');
    return;
  }
  const isEnvelope = bytes[0] === MessageType.compress || bytes[0] === MessageType.compound;
  if (!isEnvelope) {
    onMessage(bytes);
    return;
  }
  if (depth === 0) {
    onProblem('Failed to decode packet: nested too deep');
    return;
  }
  if (bytes[0] === MessageType.compress) {
    const inner = decompressMessage(bytes, budget.bytes);
    if (inner === undefined) {
      onProblem('Failed to decompress packet');
      return;
    }
    budget.bytes -= inner.length;
    unwrap(inner, depth - 1, budget, onMessage, onProblem);
    return;
  }
  const compound = decodeCompound(bytes);
  if (compound === undefined) {
    onProblem('Failed to decode compound request: truncated len slice');
    return;
  }
  if (compound.missing > 0) onProblem(`Compound request had ${compound.missing} truncated messages`);
  for (const part of compound.parts) unwrap(part, depth - 1, budget, onMessage, onProblem);
}

function withChecksum(message: Uint8Array): Uint8Array {
  const result = new Uint8Array(CRC_HEADER_BYTES + message.length);
  result[0] = MessageType.hasCrc;
  new DataView(result.buffer).setUint32(1, crc32(message));
  result.set(message, CRC_HEADER_BYTES);
  return result;
}

/** The packet without its checksum, if it has one; undefined when that is wrong. */
function withoutChecksum(packet: Uint8Array): Uint8Array | undefined {
  if (packet[0] !== MessageType.hasCrc || packet.length < CRC_HEADER_BYTES) return packet;
  const stated = new DataView(packet.buffer, packet.byteOffset).getUint32(1);
  const inner = packet.subarray(CRC_HEADER_BYTES);
  return crc32(inner) === stated ? inner : undefined;
}

function decrypted(packet: Uint8Array, security: PacketSecurity): Uint8Array | undefined {
  if (security.keyring.isEmpty) return packet;
  const opened = decryptBlob(security.keyring.keys, packet, NO_BYTES);
  if (opened !== undefined) return opened;
  return security.verifyIncoming ? undefined : packet;
}
