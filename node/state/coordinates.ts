/** Network coordinates of nodes, and what they are for: sorting by distance. */

import type { Coordinate } from '../../shared/types/v1.ts';
import { nameKey } from './byte-text.ts';
import type { Change } from './change.ts';
import { isSameData } from './interning.ts';
import type { CoordinateRecord } from './records.ts';
import { raiseTable, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

export interface CoordinateUpdate {
  readonly node: string;
  readonly coordinate: Coordinate;
}

/** Replaces coordinates; those of unknown nodes are dropped. */
export function updateCoordinates(change: Change, updates: readonly CoordinateUpdate[]): void {
  const { tables, watches, index } = change;
  let hasChanged = false;
  for (const { node, coordinate } of updates) {
    const key = nameKey(node);
    const record = tables.nodes.get(key);
    if (record === undefined) continue;
    const { Vec, Adjustment, Height } = coordinate;
    const updated = {
      Node: record.node.Node,
      Segment: '',
      Coord: { Vec: [...Vec], Error: coordinate.Error, Adjustment, Height },
    };
    if (isSameData(tables.coordinates.get(key), updated)) continue;
    tables.coordinates.set(key, updated);
    hasChanged = true;
  }
  if (!hasChanged) return;
  raiseTable(tables, 'coordinates', index);
  watches.touch(topic.coordinates);
}

/** The coordinates of all nodes, ordered by node. */
export function allCoordinates(tables: Tables): Answer<CoordinateRecord[]> {
  const value: CoordinateRecord[] = [];
  tables.coordinates.scan('', undefined, (record) => {
    value.push(record);
    return true;
  });
  return {
    value,
    indexOf: (now) => tableIndex(now, 'coordinates'),
    topics: [topic.coordinates],
    weightBytes: 8 * value.length,
  };
}

/** Estimated round-trip time, seconds, ≥ 0. */
export function distanceSeconds(a: Coordinate, b: Coordinate): number {
  let squares = 0;
  for (let i = 0; i < a.Vec.length; i++) squares += ((a.Vec[i] ?? 0) - (b.Vec[i] ?? 0)) ** 2;
  const distance = Math.sqrt(squares) + a.Height + b.Height;
  const adjusted = distance + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : distance;
}

/**
 * A copy ordered by distance from a node, equal ones as they were, nodes without coordinate last. The same list when
 * there is nothing to order by.
 */
export function sortedByDistance<T>(
  tables: Tables,
  near: string,
  list: T[],
  nodeOf: (item: T) => string,
): T[] {
  if (near === '') return list;
  const seconds = distancesFrom(tables, near, list, nodeOf);
  if (seconds === undefined) return list;
  return list
    .map((item, at) => ({ item, seconds: seconds[at] as number }))
    .sort((a, b) => (a.seconds === b.seconds ? 0 : a.seconds - b.seconds))
    .map(({ item }) => item);
}

/** Seconds from a node to each of the list, Infinity without coordinate. undefined: the node itself has none. */
export function distancesFrom<T>(
  tables: Tables,
  near: string,
  list: readonly T[],
  nodeOf: (item: T) => string,
): number[] | undefined {
  const from = tables.coordinates.get(nameKey(near));
  if (from === undefined) return undefined;
  return list.map((item) => {
    const to = tables.coordinates.get(nameKey(nodeOf(item)));
    return to === undefined ? Number.POSITIVE_INFINITY : distanceSeconds(from.Coord, to.Coord);
  });
}
