import { describe, expect, it } from 'vitest';
import { randomInt } from '../../shared/env.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import type { ReadonlyOrderedMap } from './ordered-map.ts';
import { OrderedMap } from './ordered-map.ts';

/** The same thing without a tree. */
class SortedArray {
  entries: (readonly [string, number])[] = [];

  set(key: string, value: number): void {
    this.delete(key);
    this.entries.push([key, value]);
    this.entries.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  delete(key: string): void {
    this.entries = this.entries.filter(([other]) => other !== key);
  }
}

const contentOf = (map: ReadonlyOrderedMap<number>) => [...map.entries()];

function scanned(map: ReadonlyOrderedMap<number>, from: string, to: string | undefined) {
  const found: (readonly [string, number])[] = [];
  map.scan(from, to, (value, key) => {
    found.push([key, value]);
    return true;
  });
  return found;
}

describe('OrderedMap against a sorted array', () => {
  it.each([1, 2, 3, 4])('does the same for random changes, seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const map = new OrderedMap<number>();
    const oracle = new SortedArray();
    // A range of keys that makes the map grow over several levels, then shrink to nothing again.
    for (const [steps, deleteShare] of [
      [1500, 0.2],
      [800, 0.5],
      [2500, 0.85],
    ] as const) {
      for (let step = 0; step < steps; step++) {
        const key = `k${randomInt(random, 900)}`;
        const before = oracle.entries.find(([other]) => other === key)?.[1];
        if (random.next() < deleteShare) {
          expect(map.delete(key)).toBe(before);
          oracle.delete(key);
        } else {
          expect(map.set(key, step)).toBe(before);
          oracle.set(key, step);
        }
        expect(map.size).toBe(oracle.entries.length);
      }
      expect(contentOf(map)).toEqual(oracle.entries);
      const [from, to] = [`k${randomInt(random, 900)}`, `k${randomInt(random, 900)}`].sort();
      expect(scanned(map, from as string, to)).toEqual(
        oracle.entries.filter(([key]) => key >= (from as string) && key < (to as string)),
      );
      for (const [key, value] of oracle.entries) expect(map.get(key)).toBe(value);
    }
  });

  it('keeps order when keys come ascending, descending and in the middle', () => {
    for (const order of [(i: number) => i, (i: number) => 9999 - i, (i: number) => (i * 7919) % 10000]) {
      const map = new OrderedMap<number>();
      for (let i = 0; i < 10000; i++) map.set(String(order(i)).padStart(5, '0'), order(i));
      expect(map.size).toBe(10000);
      expect(contentOf(map).map(([, value]) => value)).toEqual(Array.from({ length: 10000 }, (_, i) => i));
    }
  });
});

describe('OrderedMap scans', () => {
  const map = new OrderedMap<number>();
  for (const [i, key] of ['a', 'a/1', 'a/2', 'ab', 'b', ''].entries()) map.set(key, i);

  it('finds keys by prefix', () => {
    const found: string[] = [];
    map.scanPrefix('a', (_, key) => {
      found.push(key);
      return true;
    });
    expect(found).toEqual(['a', 'a/1', 'a/2', 'ab']);
  });

  it('stops when told to', () => {
    const found: string[] = [];
    map.scan('', undefined, (_, key) => {
      found.push(key);
      return found.length < 2;
    });
    expect(found).toEqual(['', 'a']);
  });

  it('leaves out the upper bound and finds nothing in an empty map', () => {
    expect(scanned(map, 'a/1', 'ab').map(([key]) => key)).toEqual(['a/1', 'a/2']);
    expect(scanned(new OrderedMap<number>(), '', undefined)).toEqual([]);
  });
});

describe('OrderedMap in the past', () => {
  it('keeps every snapshot as it was, whatever comes later', () => {
    const random = new SeededRandom(7);
    const map = new OrderedMap<number>();
    const kept: { view: ReadonlyOrderedMap<number>; content: unknown }[] = [];
    for (let step = 0; step < 3000; step++) {
      const key = `k${randomInt(random, 400)}`;
      if (random.next() < 0.45) map.delete(key);
      else map.set(key, step);
      if (step % 250 === 0) kept.push({ view: map.snapshot(), content: contentOf(map) });
    }
    for (const { view, content } of kept) expect(contentOf(view)).toEqual(content);
  });

  it('returns to a checkpoint, also more than once', () => {
    const map = new OrderedMap<number>();
    for (let i = 0; i < 500; i++) map.set(`k${i}`, i);
    const before = contentOf(map);
    const checkpoint = map.checkpoint();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 500; i += 2) map.delete(`k${i}`);
      for (let i = 0; i < 100; i++) map.set(`new${i}`, i);
      map.rollback(checkpoint);
      expect(contentOf(map)).toEqual(before);
      expect(map.size).toBe(500);
    }
  });
});
