import { describe, expect, test } from 'vitest';
import { matchChildren } from './children.ts';
import { h, type Tree } from './tree.ts';

const keyed = (...keys: string[]): Tree[] => keys.map((key) => h('li', { key }));

describe('children go on', () => {
  test('by key, wherever they are', () => {
    expect(matchChildren(keyed('a', 'b', 'c'), keyed('c', 'x', 'a'))).toEqual([2, -1, 0]);
  });

  test('in their order without a key', () => {
    const before = [h('p', {}), 'text', h('p', {})];
    expect(matchChildren(before, [h('p', {}), h('p', {}), h('p', {}), 'other'])).toEqual([0, 2, -1, 1]);
  });

  test('never as another tag, nor with a key that they did not have', () => {
    expect(matchChildren([h('p', {}), h('li', { key: 'a' })], [h('a', {}), h('li', {})])).toEqual([-1, -1]);
    expect(matchChildren(keyed('a'), [h('div', { key: 'a' })])).toEqual([-1]);
  });

  test('once, even when a key is there twice', () => {
    expect(matchChildren(keyed('a'), keyed('a', 'a'))).toEqual([0, -1]);
    expect(matchChildren(keyed('a', 'a'), keyed('a', 'a', 'a'))).toEqual([0, 1, -1]);
  });

  test('by thousands at once', () => {
    const many = Array.from({ length: 5000 }, (_, i) => String(i));
    const turned = matchChildren(keyed(...many), keyed(...many.toReversed()));
    expect(turned).toEqual(many.map((_, i) => many.length - 1 - i));
  });
});
