/** Blocks of IP addresses in CIDR form, without anything of the runtime's. */

export interface AddressBlocks {
  readonly isEmpty: boolean;
  /** False for what is no address. */
  has(address: string): boolean;
}

interface Block {
  readonly bits: number;
  readonly size: 32 | 128;
  readonly network: bigint;
}

/** @returns undefined when one of them is no block; a single address is a block of itself */
export function parseBlocks(texts: readonly string[]): AddressBlocks | undefined {
  const blocks: Block[] = [];
  for (const text of texts) {
    const block = parseBlock(text);
    if (block === undefined) return undefined;
    blocks.push(block);
  }
  return {
    isEmpty: blocks.length === 0,
    has: (address) => {
      const parsed = parseAddress(address);
      return parsed !== undefined && blocks.some((block) => contains(block, parsed));
    },
  };
}

export const NO_BLOCKS: AddressBlocks = { isEmpty: true, has: () => false };

function parseBlock(text: string): Block | undefined {
  const [addressText = '', bitsText, rest] = text.split('/');
  const address = parseAddress(addressText);
  if (address === undefined || rest !== undefined) return undefined;
  const bits = bitsText === undefined ? address.size : /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : -1;
  if (bits < 0 || bits > address.size) return undefined;
  return { bits, size: address.size, network: address.value >> BigInt(address.size - bits) };
}

function contains({ bits, size, network }: Block, address: { size: number; value: bigint }): boolean {
  return address.size === size && address.value >> BigInt(size - bits) === network;
}

function parseAddress(text: string): { size: 32 | 128; value: bigint } | undefined {
  const plain = text.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) {
    const value = parseIpv4(plain);
    return value === undefined ? undefined : { size: 32, value };
  }
  const value = parseIpv6(plain);
  return value === undefined ? undefined : { size: 128, value };
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  const [head = '', tail, rest] = text.split('::');
  if (rest !== undefined) return undefined;
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  const missing = 8 - groups.length - behind.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...behind];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
