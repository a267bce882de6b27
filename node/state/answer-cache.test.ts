import { describe, expect, it } from 'vitest';
import { AnswerCache } from './answer-cache.ts';
import { Tables } from './tables.ts';
import type { Answer } from './types.ts';
import { WatchRegistry } from './watch-registry.ts';

function setup(limits?: { answers: number; bytes: number }) {
  const watches = new WatchRegistry();
  const cache = new AnswerCache(watches, limits);
  const tables = new Tables();
  const ask =
    (topics: string[], extra: Partial<Answer<object>> = {}) =>
    (): Answer<object> => ({
      value: {},
      indexOf: () => 7,
      topics,
      ...extra,
    });
  return { watches, cache, tables, ask };
}

describe('AnswerCache', () => {
  it('gives the same value until a topic moves, at once and not only after the flush', () => {
    const { watches, cache, tables, ask } = setup();
    const first = cache.read(tables, 'q', ask(['a', 'b'])).value;
    expect(cache.read(tables, 'q', ask(['a'])).value).toBe(first);
    watches.touch('c');
    expect(cache.read(tables, 'q', ask(['a'])).value).toBe(first);
    watches.touch('b');
    expect(cache.read(tables, 'q', ask(['a'])).value).not.toBe(first);
  });

  it('asks for the index each time', () => {
    const { cache, tables, ask } = setup();
    let index = 5;
    const read = () => cache.read(tables, 'q', ask(['a'], { indexOf: () => index }));
    const before = read();
    index = 9;
    expect([before.index, read().index]).toEqual([5, 9]);
    expect(read().value).toBe(before.value);
    index = 0;
    expect(read().index).toBe(1);
  });

  it('forgets on unwatched topics too, but does not name them', () => {
    const { watches, cache, tables, ask } = setup();
    const first = cache.read(tables, 'q', ask(['a'], { unwatched: ['z'] }));
    expect(first.topics).toEqual(['a']);
    watches.touch('z');
    expect(cache.read(tables, 'q', ask(['a'])).value).not.toBe(first.value);
  });

  it('keeps within its bounds, the least used going first', () => {
    const { cache, tables, ask } = setup({ answers: 2, bytes: 100_000 });
    const first = cache.read(tables, '1', ask(['a'])).value;
    cache.read(tables, '2', ask(['a']));
    cache.read(tables, '1', ask(['a']));
    cache.read(tables, '3', ask(['a']));
    expect(cache.size).toBe(2);
    expect(cache.read(tables, '1', ask(['a'])).value).toBe(first);
    cache.read(tables, 'huge', ask(['a'], { weightBytes: 50_000 }));
    expect(cache.size).toBe(2);
    for (let i = 0; i < 10; i++) cache.read(tables, `m${i}`, ask(['a'], { weightBytes: 24_000 }));
    expect(cache.size).toBe(2);
  });

  it('keeps nothing of a question that throws', () => {
    const { cache, tables } = setup();
    const failing = () => {
      throw new Error('no');
    };
    expect(() => cache.read(tables, 'q', failing)).toThrow('no');
    expect(cache.size).toBe(0);
  });
});
