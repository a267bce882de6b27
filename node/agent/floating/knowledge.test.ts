import { expect, it } from 'vitest';
import { Knowledge } from './knowledge.ts';

const place = (id: string, generation: number) => ({ id, node: 'n1', generation });

it('takes what a list names, and what was written after it', () => {
  const knowledge = new Knowledge();
  knowledge.list([place('a', 3)], 10);
  expect(
    [place('a', 3), place('a', 2), place('b', 9), place('b', 11)].map((p) => knowledge.isCurrent(p)),
  ).toEqual([true, false, false, true]);
});

it('does not take what was removed later, in whatever order the answers come', () => {
  const knowledge = new Knowledge();
  knowledge.list([], 10);
  expect(knowledge.removed('a', 13)).toBe(true);
  expect(knowledge.isCurrent(place('a', 12))).toBe(false);
  expect(knowledge.isCurrent(place('a', 14))).toBe(true);
  expect(knowledge.isCurrent(place('b', 12))).toBe(true);
});

it('believes a list rather than an older removal', () => {
  const knowledge = new Knowledge();
  knowledge.list([place('a', 15)], 20);
  expect(knowledge.removed('a', 13)).toBe(false);
  expect(knowledge.isCurrent(place('a', 15))).toBe(true);
});

it('knows which lists are of the past', () => {
  const knowledge = new Knowledge();
  knowledge.list([], 10);
  knowledge.wrote(15);
  expect([9, 14, 15].map((index) => knowledge.isOutdated(index))).toEqual([true, true, false]);
  // Another state: it has its own indexes.
  knowledge.list([], 4);
  expect(knowledge.isOutdated(5)).toBe(false);
});
