/** Which of the old children become which of the new ones. Pure: the part of patching that can be wrong. */

import type { Tree } from './tree.ts';

/**
 * Children with a key go together by key, the others in their order among those of the same kind. Nodes of different
 * tags never go together.
 *
 * @returns for each new child the position of the old one that it continues, -1 for a new one; no position twice
 */
export function matchChildren(before: readonly Tree[], after: readonly Tree[]): number[] {
  const free = new Map<string, number[]>();
  before.forEach((tree, position) => {
    const name = identityOf(tree);
    const positions = free.get(name);
    if (positions === undefined) free.set(name, [position]);
    else positions.push(position);
  });
  // Taken from the end, so that each list is turned around once.
  for (const positions of free.values()) positions.reverse();
  return after.map((tree) => free.get(identityOf(tree))?.pop() ?? -1);
}

function identityOf(tree: Tree): string {
  if (typeof tree === 'string') return '#';
  const { key } = tree.attributes;
  return key === undefined ? tree.tag : `${tree.tag} ${key}`;
}
