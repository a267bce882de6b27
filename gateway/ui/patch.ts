/** Brings the document from one tree to the next, touching only what differs: focus, scrolling and open details stay. */

import { matchChildren } from './children.ts';
import type { Attribute, Attributes, Listener, Tree } from './tree.ts';

/** What listens now, by event name: listeners change with every drawing, registrations stay. */
const listeners = new WeakMap<Element, Map<string, Listener>>();

/**
 * Invariant: the child nodes of `parent` are exactly those that the earlier call with `before` as its `after` left.
 */
export function patchChildren(parent: Element, before: readonly Tree[], after: readonly Tree[]): void {
  const nodes = [...parent.childNodes];
  const matches = matchChildren(before, after);
  const kept = new Set(matches);
  nodes.forEach((node, position) => {
    if (!kept.has(position)) node.remove();
  });
  let cursor = parent.firstChild;
  after.forEach((tree, i) => {
    const match = matches[i] ?? -1;
    const old = before[match];
    const existing = nodes[match];
    const node = existing !== undefined && old !== undefined ? update(existing, old, tree) : create(tree);
    if (node === cursor) cursor = node.nextSibling;
    else parent.insertBefore(node, cursor);
    if (existing === undefined && typeof tree !== 'string') tree.attributes.mounted?.(node as Element);
  });
}

function create(tree: Tree): Node {
  if (typeof tree === 'string') return document.createTextNode(tree);
  const element = document.createElement(tree.tag);
  patchChildren(element, [], tree.children);
  setAttributes(element, {}, tree.attributes);
  return element;
}

function update(node: ChildNode, before: Tree, after: Tree): ChildNode {
  if (before === after) return node;
  if (typeof after === 'string') {
    if (before !== after) node.nodeValue = after;
  } else if (typeof before !== 'string') {
    const element = node as Element;
    patchChildren(element, before.children, after.children);
    setAttributes(element, before.attributes, after.attributes);
  }
  return node;
}

function setAttributes(element: Element, before: Attributes, after: Attributes): void {
  for (const name of Object.keys(before)) if (!(name in after)) setAttribute(element, name, undefined);
  for (const [name, value] of Object.entries(after)) {
    if (value === before[name] || name === 'key' || name === 'mounted') continue;
    setAttribute(element, name, value as Attribute);
  }
}

function setAttribute(element: Element, name: string, value: Attribute): void {
  if (typeof value === 'function' || name.startsWith('on')) {
    listen(element, name.slice(2), typeof value === 'function' ? value : undefined);
  } else if (name === 'value' && isField(element)) {
    // What the user is typing is not written again: that would move the cursor.
    const text = String(value ?? '');
    if (element.value !== text) element.value = text;
  } else if (name === 'checked' && element instanceof HTMLInputElement) {
    element.checked = value === true;
  } else if (value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

function isField(element: Element): element is HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement {
  return (
    element instanceof HTMLInputElement ||
    element instanceof HTMLTextAreaElement ||
    element instanceof HTMLSelectElement
  );
}

function listen(element: Element, event: string, listener: Listener | undefined): void {
  let current = listeners.get(element);
  if (current === undefined) {
    current = new Map();
    listeners.set(element, current);
  }
  const known = current;
  if (!known.has(event)) element.addEventListener(event, (happened) => known.get(event)?.(happened));
  known.set(event, listener ?? (() => undefined));
}
