/** A map ordered by key whose past can be kept for free: a B+tree that copies only paths a snapshot still shares. */

/** Most entries of a leaf and most children of an inner node. Wider: fewer objects; narrower: cheaper copies. */
const MAX_WIDTH = 64;
/** Below this a node is merged with, or filled from, its neighbour. */
const MIN_WIDTH = 16;

class Leaf<V> {
  /** The version of the map that created this node; only that version may change it in place. */
  readonly version: number;
  readonly keys: string[];
  readonly values: V[];

  constructor(version: number, keys: string[], values: V[]) {
    this.version = version;
    this.keys = keys;
    this.values = values;
  }
}

/** Invariant: `keys[i]` separates: everything in `children[i]` is smaller, everything in `children[i + 1]` is not. */
class Inner<V> {
  readonly version: number;
  readonly keys: string[];
  readonly children: TreeNode<V>[];

  constructor(version: number, keys: string[], children: TreeNode<V>[]) {
    this.version = version;
    this.keys = keys;
    this.children = children;
  }
}

type TreeNode<V> = Leaf<V> | Inner<V>;

interface Split<V> {
  readonly key: string;
  readonly right: TreeNode<V>;
}

/** What can be read from an `OrderedMap` or a snapshot of one. */
export interface ReadonlyOrderedMap<V> {
  readonly size: number;
  get(key: string): V | undefined;
  /** Visits ascending keys, `from` ≤ key < `to` (undefined: to the end), until `visit` returns false. */
  scan(from: string, to: string | undefined, visit: (value: V, key: string) => boolean | undefined): void;
  /** Visits ascending keys that start with the prefix, until `visit` returns false. */
  scanPrefix(prefix: string, visit: (value: V, key: string) => boolean | undefined): void;
  /** All entries, ascending. The map must not change meanwhile: iterate a snapshot. */
  entries(): Generator<readonly [string, V]>;
}

/** Where to return to; made by `checkpoint`, good for the same map only. */
export interface Checkpoint<V> {
  readonly root: TreeNode<V>;
  readonly size: number;
}

/**
 * Keys are ordered by UTF-16 code units. For the order of UTF-8 bytes, and for less memory, use keys that
 * `byte-text` made.
 *
 * Invariant: nodes whose version is not `#version` are shared with a snapshot or checkpoint and are never changed.
 */
export class OrderedMap<V> implements ReadonlyOrderedMap<V> {
  #version = 0;
  #root: TreeNode<V>;
  #size: number;

  constructor() {
    this.#root = new Leaf<V>(0, [], []);
    this.#size = 0;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    let node = this.#root;
    while (node instanceof Inner) node = node.children[childIndex(node.keys, key)] as TreeNode<V>;
    const at = lowerBound(node.keys, key);
    return node.keys[at] === key ? node.values[at] : undefined;
  }

  /** @returns what the key held before */
  set(key: string, value: V): V | undefined {
    const sizeBefore = this.#size;
    this.#root = this.#editable(this.#root);
    const { split, previous } = this.#insert(this.#root, key, value);
    if (split !== undefined) this.#root = new Inner<V>(this.#version, [split.key], [this.#root, split.right]);
    return this.#size > sizeBefore ? undefined : previous;
  }

  /** @returns what the key held; undefined when it was not there */
  delete(key: string): V | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    this.#root = this.#editable(this.#root);
    this.#remove(this.#root, key);
    while (this.#root instanceof Inner && this.#root.children.length === 1) {
      this.#root = this.#root.children[0] as TreeNode<V>;
    }
    this.#size--;
    return value;
  }

  scan(from: string, to: string | undefined, visit: (value: V, key: string) => boolean | undefined): void {
    scanNode(this.#root, from, (key) => to === undefined || key < to, visit);
  }

  scanPrefix(prefix: string, visit: (value: V, key: string) => boolean | undefined): void {
    scanNode(this.#root, prefix, (key) => key.startsWith(prefix), visit);
  }

  entries(): Generator<readonly [string, V]> {
    return walk(this.#root);
  }

  /** The map as it is now; takes constant time and is not affected by later changes. */
  snapshot(): ReadonlyOrderedMap<V> {
    const copy = new OrderedMap<V>();
    copy.#root = this.#root;
    copy.#size = this.#size;
    this.#version++;
    return copy;
  }

  checkpoint(): Checkpoint<V> {
    this.#version++;
    return { root: this.#root, size: this.#size };
  }

  /** Undoes everything since the checkpoint. */
  rollback(checkpoint: Checkpoint<V>): void {
    this.#version++;
    this.#root = checkpoint.root;
    this.#size = checkpoint.size;
  }

  #editable<N extends TreeNode<V>>(node: N): N;
  #editable(node: TreeNode<V>): TreeNode<V> {
    if (node.version === this.#version) return node;
    return node instanceof Inner
      ? new Inner<V>(this.#version, node.keys.slice(), node.children.slice())
      : new Leaf<V>(this.#version, node.keys.slice(), node.values.slice());
  }

  /** `node` is editable. */
  #insert(
    node: TreeNode<V>,
    key: string,
    value: V,
  ): { split: Split<V> | undefined; previous: V | undefined } {
    if (node instanceof Leaf) {
      const at = lowerBound(node.keys, key);
      if (node.keys[at] === key) {
        const previous = node.values[at];
        node.values[at] = value;
        return { split: undefined, previous };
      }
      this.#size++;
      insertAt(node.keys, at, key);
      insertAt(node.values, at, value);
      return { split: this.#splitLeaf(node, at), previous: undefined };
    }
    const at = childIndex(node.keys, key);
    const child = this.#editable(node.children[at] as TreeNode<V>);
    node.children[at] = child;
    const below = this.#insert(child, key, value);
    if (below.split === undefined) return below;
    insertAt(node.keys, at, below.split.key);
    insertAt(node.children, at + 1, below.split.right);
    return { split: this.#splitInner(node), previous: undefined };
  }

  /** Splits an overfull leaf: in the middle, or, when keys arrive ascending, so that the left one stays full. */
  #splitLeaf(node: Leaf<V>, insertedAt: number): Split<V> | undefined {
    const width = node.keys.length;
    if (width <= MAX_WIDTH) return undefined;
    const cut = insertedAt === width - 1 ? width - 1 : width >> 1;
    const right = new Leaf<V>(this.#version, node.keys.slice(cut), node.values.slice(cut));
    node.keys.length = cut;
    node.values.length = cut;
    return { key: right.keys[0] as string, right };
  }

  #splitInner(node: Inner<V>): Split<V> | undefined {
    const width = node.children.length;
    if (width <= MAX_WIDTH) return undefined;
    const cut = width >> 1;
    const key = node.keys[cut - 1] as string;
    const right = new Inner<V>(this.#version, node.keys.slice(cut), node.children.slice(cut));
    node.keys.length = cut - 1;
    node.children.length = cut;
    return { key, right };
  }

  /** `node` is editable and holds the key. */
  #remove(node: TreeNode<V>, key: string): void {
    if (node instanceof Leaf) {
      const at = lowerBound(node.keys, key);
      node.keys.splice(at, 1);
      node.values.splice(at, 1);
      return;
    }
    const at = childIndex(node.keys, key);
    const child = this.#editable(node.children[at] as TreeNode<V>);
    node.children[at] = child;
    this.#remove(child, key);
    if (widthOf(child) < MIN_WIDTH && node.children.length > 1) {
      this.#rebalance(node, at === 0 ? 0 : at - 1);
    }
  }

  /** Merges children `at` and `at + 1` of an editable node, or evens them out when one node can't hold both. */
  #rebalance(node: Inner<V>, at: number): void {
    const left = node.children[at] as TreeNode<V>;
    const right = node.children[at + 1] as TreeNode<V>;
    const separator = node.keys[at] as string;
    const joined = join(left, separator, right, this.#version);
    if (widthOf(joined) <= MAX_WIDTH) {
      node.children.splice(at, 2, joined);
      node.keys.splice(at, 1);
      return;
    }
    const { lower, key, upper } = halve(joined, this.#version);
    node.children[at] = lower;
    node.children[at + 1] = upper;
    node.keys[at] = key;
  }
}

function widthOf<V>(node: TreeNode<V>): number {
  return node instanceof Inner ? node.children.length : node.keys.length;
}

function join<V>(left: TreeNode<V>, separator: string, right: TreeNode<V>, version: number): TreeNode<V> {
  if (left instanceof Inner && right instanceof Inner) {
    const keys = [...left.keys, separator, ...right.keys];
    return new Inner<V>(version, keys, [...left.children, ...right.children]);
  }
  if (left instanceof Leaf && right instanceof Leaf) {
    return new Leaf<V>(version, [...left.keys, ...right.keys], [...left.values, ...right.values]);
  }
  throw new Error('ordered map: neighbours of different height');
}

function halve<V>(
  node: TreeNode<V>,
  version: number,
): { lower: TreeNode<V>; key: string; upper: TreeNode<V> } {
  const cut = widthOf(node) >> 1;
  if (node instanceof Leaf) {
    return {
      lower: new Leaf<V>(version, node.keys.slice(0, cut), node.values.slice(0, cut)),
      key: node.keys[cut] as string,
      upper: new Leaf<V>(version, node.keys.slice(cut), node.values.slice(cut)),
    };
  }
  return {
    lower: new Inner<V>(version, node.keys.slice(0, cut - 1), node.children.slice(0, cut)),
    key: node.keys[cut - 1] as string,
    upper: new Inner<V>(version, node.keys.slice(cut), node.children.slice(cut)),
  };
}

/** The first position whose key is not smaller. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Which child holds the key: the one after the last separator that is not greater. */
function childIndex(separators: readonly string[], key: string): number {
  let low = 0;
  let high = separators.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((separators[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Faster than splice, which allocates the array of what it removed. */
function insertAt<T>(items: T[], at: number, item: T): void {
  items.push(item);
  for (let i = items.length - 1; i > at; i--) items[i] = items[i - 1] as T;
  items[at] = item;
}

/** @returns false when the scan is over */
function scanNode<V>(
  node: TreeNode<V>,
  from: string,
  isWithin: (key: string) => boolean,
  visit: (value: V, key: string) => boolean | undefined,
): boolean {
  if (node instanceof Inner) {
    for (let at = childIndex(node.keys, from); at < node.children.length; at++) {
      if (!scanNode(node.children[at] as TreeNode<V>, from, isWithin, visit)) return false;
    }
    return true;
  }
  for (let at = lowerBound(node.keys, from); at < node.keys.length; at++) {
    const key = node.keys[at] as string;
    if (!isWithin(key) || visit(node.values[at] as V, key) === false) return false;
  }
  return true;
}

/** Without recursion: each entry would pass through a generator a level. */
function* walk<V>(root: TreeNode<V>): Generator<readonly [string, V]> {
  const ahead: TreeNode<V>[] = [root];
  for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
    if (node instanceof Inner) {
      for (let at = node.children.length - 1; at >= 0; at--) ahead.push(node.children[at] as TreeNode<V>);
      continue;
    }
    for (let at = 0; at < node.keys.length; at++) yield [node.keys[at] as string, node.values[at] as V];
  }
}
