import { describe, expect, it } from 'vitest';
import { byteText } from './byte-text.ts';
import { topic } from './topics.ts';
import { WatchRegistry } from './watch-registry.ts';

function watching(registry: WatchRegistry, topics: readonly string[]) {
  const seen = { times: 0, stop: () => {} };
  seen.stop = registry.watch(topics, () => {
    seen.times++;
  });
  return seen;
}

describe('WatchRegistry', () => {
  it('wakes once, at the flush, however many topics moved', () => {
    const registry = new WatchRegistry();
    const both = watching(registry, ['a', 'b']);
    const other = watching(registry, ['c']);
    registry.touch('a');
    registry.touch('b');
    expect(both.times).toBe(0);
    registry.flush();
    registry.touch('a');
    registry.flush();
    expect([both.times, other.times]).toEqual([1, 0]);
  });

  it('does not wake who has left', () => {
    const registry = new WatchRegistry();
    const left = watching(registry, ['a']);
    const leftAfterTouch = watching(registry, ['a']);
    left.stop();
    registry.touch('a');
    leftAfterTouch.stop();
    registry.flush();
    expect([left.times, leftAfterTouch.times]).toEqual([0, 0]);
  });

  it('lets a waiter wait again from within its wake', () => {
    const registry = new WatchRegistry();
    let times = 0;
    const again = () => {
      times++;
      registry.watch(['a'], again);
    };
    registry.watch(['a'], again);
    for (let i = 0; i < 3; i++) {
      registry.touch('a');
      registry.flush();
    }
    expect(times).toBe(3);
  });

  it.each([
    ['a/b', ['a/b', 'tree:', 'tree:a', 'tree:a/', 'tree:a/b']],
    ['a', ['tree:', 'tree:a']],
    ['b/a/b', ['tree:']],
    ['é/1', ['tree:', 'tree:é']],
    ['e/1', ['tree:']],
  ])('a change of key %j wakes its watchers and those of its prefixes: %j', (key, expected) => {
    const registry = new WatchRegistry();
    const watchers = ['a/b', 'tree:', 'tree:a', 'tree:a/', 'tree:a/b', 'tree:a/b/', 'tree:é', 'tree:x'].map(
      (name) => ({
        name,
        seen: watching(registry, [
          name.startsWith('tree:') ? topic.kvTree(name.slice(5)) : topic.kvKey(name),
        ]),
      }),
    );
    registry.touchKey(byteText(key));
    registry.flush();
    expect(watchers.filter(({ seen }) => seen.times > 0).map(({ name }) => name)).toEqual(expected);
  });

  it('still finds the prefixes that are left when others are given up', () => {
    const registry = new WatchRegistry();
    const first = watching(registry, [topic.kvTree('a')]);
    const second = watching(registry, [topic.kvTree('b')]);
    const longer = watching(registry, [topic.kvTree('b/c')]);
    first.stop();
    longer.stop();
    registry.touchKey('b/c/d');
    registry.flush();
    expect([first.times, second.times, longer.times]).toEqual([0, 1, 0]);
  });

  it('wakes everyone after touchAll', () => {
    const registry = new WatchRegistry();
    const all = [['a'], [topic.kvKey('k')], [topic.kvTree('p')]].map((topics) => watching(registry, topics));
    registry.touchAll();
    registry.flush();
    expect(all.map(({ times }) => times)).toEqual([1, 1, 1]);
  });
});
