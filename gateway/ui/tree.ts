/** What a page looks like, as a value: views return trees, `patch.ts` puts them into the document. */

/** true is an attribute without a value; false and undefined leave it out; a function listens to the event after `on`. */
export type Attribute = string | number | boolean | undefined | Listener;
export type Listener = (event: Event) => void;

export interface Attributes {
  /** Which child this is among its siblings, whatever its position. Unique there. */
  readonly key?: string | undefined;
  /** Called once, when the element has been put into the document. */
  readonly mounted?: ((element: Element) => void) | undefined;
  readonly [event: `on${string}`]: Listener | undefined;
  readonly [name: string]: Attribute | ((element: Element) => void);
}

export interface ElementTree {
  readonly tag: string;
  readonly attributes: Attributes;
  readonly children: readonly Tree[];
}

/** An element or a text. Text is always inserted as text, never parsed. */
export type Tree = string | ElementTree;
export type Child = Tree | number | false | undefined | readonly Child[];

/**
 * @param selector a tag, with classes if any: `span.badge.passing`
 * @param children lists are flattened; false and undefined are left out
 */
export function h(selector: string, attributes: Attributes, ...children: Child[]): ElementTree {
  const [tag = '', ...classes] = selector.split('.');
  const named = classes.length === 0 ? attributes : { ...attributes, class: classes.join(' ') };
  return { tag, attributes: named, children: flatten(children) };
}

/** All text below a tree in document order, pieces separated by a blank. */
export function textOf(tree: Tree | readonly Tree[]): string {
  if (typeof tree === 'string') return tree;
  const children = 'tag' in tree ? tree.children : tree;
  return children
    .map(textOf)
    .filter((text) => text !== '')
    .join(' ');
}

/** Every element below (or at) a tree that a test of its own accepts, in document order. */
export function findAll(
  tree: Tree | readonly Tree[],
  accepts: (element: ElementTree) => boolean,
): ElementTree[] {
  if (typeof tree === 'string') return [];
  if (!('tag' in tree)) return tree.flatMap((child) => findAll(child, accepts));
  const below = tree.children.flatMap((child) => findAll(child, accepts));
  return accepts(tree) ? [tree, ...below] : below;
}

function flatten(children: readonly Child[]): Tree[] {
  const out: Tree[] = [];
  for (const child of children) {
    if (child === undefined || child === false) continue;
    if (typeof child === 'number') out.push(String(child));
    else if (typeof child === 'string' || 'tag' in child) out.push(child);
    else out.push(...flatten(child));
  }
  return out;
}
