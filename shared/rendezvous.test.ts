import { expect, test } from 'vitest';
import { byRendezvous } from './rendezvous.ts';

const names = (count: number) => Array.from({ length: count }, (_, i) => `client-${i}`);
const owner = (key: string, candidates: readonly string[]) =>
  byRendezvous(key, candidates, (name) => name)[0];
const keys = Array.from({ length: 5000 }, (_, i) => `service-${i}`);

test('the order of the candidates does not matter', () => {
  for (const key of keys.slice(0, 200)) expect(owner(key, names(7).reverse())).toBe(owner(key, names(7)));
});

test('keys spread evenly', () => {
  const counts = new Map<string | undefined, number>();
  for (const key of keys) counts.set(owner(key, names(5)), (counts.get(owner(key, names(5))) ?? 0) + 1);
  for (const count of counts.values()) expect(count).toBeGreaterThan(850);
  expect(counts.size).toBe(5);
});

test('only the keys of a candidate that goes find another', () => {
  for (const key of keys) {
    const before = owner(key, names(5));
    if (before !== 'client-2')
      expect(
        owner(
          key,
          names(5).filter((name) => name !== 'client-2'),
        ),
      ).toBe(before);
  }
});

test('no candidates, no owner', () => {
  expect(owner('x', [])).toBeUndefined();
});
