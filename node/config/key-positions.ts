/** Where the keys of a configuration file stand, so that what is wrong with one can be found. */

/** One key, or the file as a whole with `offset` 0; children are keys of a block and items of a list (`0`, `1`, …). */
export interface KeyPosition {
  /** Characters from the beginning of the text. */
  readonly offset: number;
  readonly children: Map<string, KeyPosition>;
}

/** A place in a file, as editors count: both from 1. */
export interface LineColumn {
  readonly line: number;
  readonly column: number;
}

export function newPosition(offset: number): KeyPosition {
  return { offset, children: new Map() };
}

/** Adds a key that may stand there already; then both are kept as items `0`, `1`, … of it. */
export function addRepeatable(parent: KeyPosition, key: string, child: KeyPosition): void {
  const before = parent.children.get(key);
  if (before === undefined) {
    const named = newPosition(child.offset);
    named.children.set('0', child);
    parent.children.set(key, named);
    return;
  }
  before.children.set(String(before.children.size), child);
}

/**
 * @param path as error texts have it: `ports.http`, `services[0].port`, `node_meta[zone]`
 * @returns undefined when the file has no such key
 */
export function findKey(root: KeyPosition, path: string): KeyPosition | undefined {
  const segments = path
    .replace(/\[([^\]]*)\]/g, '.$1')
    .split('.')
    .filter((segment) => segment !== '');
  return find(root, segments);
}

/** HCL writes a list of one as a block, and one block as a list: an index that isn't there is passed over, and the other way round. */
function find(at: KeyPosition, segments: readonly string[]): KeyPosition | undefined {
  const [first, ...rest] = segments;
  if (first === undefined) return at;
  const child = childOf(at, first);
  if (child !== undefined) return find(child, rest);
  if (/^\d+$/.test(first)) return find(at, rest);
  const only = at.children.size === 1 ? at.children.get('0') : undefined;
  return only === undefined ? undefined : find(only, segments);
}

/** Keys count whatever their case; repeated `service` blocks become `services`. */
function childOf(at: KeyPosition, key: string): KeyPosition | undefined {
  const exact = at.children.get(key);
  if (exact !== undefined) return exact;
  for (const [name, child] of at.children) if (name.toLowerCase() === key.toLowerCase()) return child;
  return key === 'services' || key === 'checks' ? at.children.get(key.slice(0, -1)) : undefined;
}

export function lineColumn(text: string, offset: number): LineColumn {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
