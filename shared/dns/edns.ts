/** EDNS(0): the OPT record (RFC 6891) and its client-subnet option (RFC 7871). */

const OPTION_CLIENT_SUBNET = 8;
const OPTION_PADDING = 12;

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** On whose behalf a resolver asks. */
export interface ClientSubnet {
  /** 1 IPv4, 2 IPv6, 0 with a source prefix of 0 bits. */
  readonly family: number;
  /** Bits of the address that count: 0–32 or 0–128. */
  readonly sourceBits: number;
  readonly scopeBits: number;
  /** 4 or 16 bytes, zeros behind the prefix; empty for family 0. */
  readonly address: Uint8Array;
}

export interface EdnsOptions {
  /** The UDP size that the sender can take, as given, 0–65535. */
  readonly udpSize: number;
  readonly isDnssecOk: boolean;
  /** High 8 bits of the response code. */
  readonly extendedRcode: number;
  readonly subnet: ClientSubnet | undefined;
  readonly hasPadding: boolean;
}

/**
 * Reads OPT from its class (UDP size), TTL (flags) and data. Unknown options are skipped.
 *
 * @returns undefined when an option runs over the end or the client subnet is malformed
 */
export function readEdns(recordClass: number, ttl: number, rdata: Uint8Array): EdnsOptions | undefined {
  let subnet: ClientSubnet | undefined;
  let hasPadding = false;
  let at = 0;
  while (at < rdata.length) {
    if (at + 4 > rdata.length) return undefined;
    const code = uint16(rdata, at);
    const end = at + 4 + uint16(rdata, at + 2);
    if (end > rdata.length) return undefined;
    if (code === OPTION_PADDING) hasPadding = true;
    if (code === OPTION_CLIENT_SUBNET) {
      const read = readSubnet(rdata.subarray(at + 4, end));
      if (read === undefined) return undefined;
      subnet ??= read;
    }
    at = end;
  }
  return {
    udpSize: recordClass,
    isDnssecOk: (ttl & 0x8000) !== 0,
    extendedRcode: (ttl >>> 24) & 0xff,
    subnet,
    hasPadding,
  };
}

/** The OPT record on the wire: 11 bytes and, with a subnet, 8 to 24 more. */
export function encodeOpt(
  udpSize: number,
  isDnssecOk: boolean,
  subnet: ClientSubnet | undefined,
): Uint8Array {
  const prefix = subnet === undefined ? 0 : Math.ceil(subnet.sourceBits / 8);
  const optionBytes = subnet === undefined ? 0 : 8 + prefix;
  const bytes = new Uint8Array(11 + optionBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(1, 41);
  view.setUint16(3, udpSize);
  view.setUint16(7, isDnssecOk ? 0x8000 : 0);
  view.setUint16(9, optionBytes);
  if (subnet !== undefined) {
    view.setUint16(11, OPTION_CLIENT_SUBNET);
    view.setUint16(13, 4 + prefix);
    view.setUint16(15, subnet.family);
    view.setUint8(17, subnet.sourceBits);
    view.setUint8(18, subnet.scopeBits);
    bytes.set(subnet.address.subarray(0, prefix), 19);
  }
  return bytes;
}

/**
 * A subnet to send. Bits behind the prefix are cleared.
 *
 * @param address 4 or 16 bytes
 * @param sourceBits 0 ≤ n ≤ 32 or 128
 */
export function clientSubnet(address: Uint8Array, sourceBits: number): ClientSubnet {
  return {
    family: address.length === 4 ? FAMILY_IPV4 : FAMILY_IPV6,
    sourceBits,
    scopeBits: 0,
    address: clearTail(address, sourceBits),
  };
}

/**
 * `message` padded to a multiple of `block` bytes (RFC 8467 §4.1). It must end with an OPT record that starts at
 * `optAt` and is written by `encodeOpt`; the padding option goes behind its other options.
 */
export function padMessage(message: Uint8Array, optAt: number, block: number): Uint8Array {
  const unpadded = message.length + 4;
  const length = Math.ceil(unpadded / block) * block;
  if (length > 65535) return message;
  const padded = new Uint8Array(length);
  padded.set(message);
  const view = new DataView(padded.buffer);
  view.setUint16(optAt + 9, view.getUint16(optAt + 9) + 4 + length - unpadded);
  view.setUint16(message.length, OPTION_PADDING);
  view.setUint16(message.length + 2, length - unpadded);
  return padded;
}

function readSubnet(option: Uint8Array): ClientSubnet | undefined {
  if (option.length < 4) return undefined;
  const family = uint16(option, 0);
  const sourceBits = option[2] ?? 0;
  const scopeBits = option[3] ?? 0;
  const given = option.subarray(4);
  if (family === 0)
    return sourceBits === 0 ? { family, sourceBits, scopeBits, address: new Uint8Array(0) } : undefined;
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return undefined;
  const size = family === FAMILY_IPV4 ? 4 : 16;
  if (sourceBits > size * 8 || scopeBits > size * 8 || given.length > size) return undefined;
  const address = new Uint8Array(size);
  address.set(given);
  return { family, sourceBits, scopeBits, address: clearTail(address, sourceBits) };
}

function clearTail(address: Uint8Array, bits: number): Uint8Array {
  return address.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * i));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
