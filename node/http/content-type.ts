/** The type under which raw KV values are served. */

/** Bytes that no text holds, by the WHATWG sniffing rules that Go follows. */
const BINARY: ReadonlySet<number> = new Set([
  ...range(0x00, 0x08),
  0x0b,
  ...range(0x0e, 0x1a),
  ...range(0x1c, 0x1f),
]);

const SNIFFED_BYTES = 512;

/**
 * Text or not. Markup is deliberately served as plain text: a key's value must not become a page of the agent's own
 * origin (CVE-2020-25864).
 */
export function rawValueType(value: Uint8Array): string {
  const end = Math.min(value.length, SNIFFED_BYTES);
  for (let i = 0; i < end; i++) if (BINARY.has(value[i] ?? 0)) return 'application/octet-stream';
  return 'text/plain; charset=utf-8';
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
