import { describe, expect, test } from 'vitest';
import { refused } from '../../shared/errors.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import type { QueryResult, Topic } from '../state/types.ts';
import type { Answer } from './answer.ts';
import { type BlockOptions, QueryEngine, type QueryEngineLimits } from './query-engine.ts';

const QUERY = { endpoint: { name: 'Test.Get' } };

/** A state of named cells, each a topic of its own; counts how often queries run. */
class Cells {
  readonly cells = new Map<string, QueryResult<unknown>>();
  readonly watchers = new Set<{ topics: readonly Topic[]; moved: () => void }>();
  readonly env: SimulatedEnv = simulatedEnv(1);
  readonly engine: QueryEngine<typeof QUERY>;
  runs = 0;

  constructor(limits?: QueryEngineLimits) {
    const source = {
      watch: (topics: readonly Topic[], moved: () => void) => {
        const watcher = { topics, moved };
        this.watchers.add(watcher);
        return () => this.watchers.delete(watcher);
      },
    };
    this.engine = new QueryEngine(source, (_query, args) => this.run(args), this.env, limits);
  }

  run(args: unknown): QueryResult<unknown> {
    this.runs++;
    const { cell } = args as { cell: string };
    const result = this.cells.get(cell);
    if (result === undefined) throw refused(`no cell ${cell}`);
    return result;
  }

  set(cell: string, value: unknown, index: number, topics: readonly Topic[] = [cell]): void {
    this.cells.set(cell, { value, index, topics });
    this.engine.stateChanged();
  }

  /** What the end of a batch does. */
  wake(...topics: readonly Topic[]): void {
    for (const watcher of [...this.watchers]) {
      if (!watcher.topics.some((topic) => topics.includes(topic))) continue;
      this.watchers.delete(watcher);
      watcher.moved();
    }
  }

  block(cell: string, options: Partial<BlockOptions> = {}): Promise<Answer> {
    return this.engine.block(
      QUERY,
      { cell },
      { minIndex: 1, waitMs: 1000, needsLeader: false, signal: undefined, ...options },
    );
  }

  current(cell: string): Answer {
    return this.engine.current(QUERY, { cell });
  }
}

/** Whether the promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const marker = Symbol('pending');
  return (await Promise.race([promise.catch(() => undefined), settled().then(() => marker)])) !== marker;
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

describe('answers', () => {
  test('are kept while nothing at all changes, and checked once after a change', () => {
    const state = new Cells();
    state.set('a', ['x'], 5);
    const first = state.current('a');
    expect(state.current('a')).toBe(first);
    expect(state.runs).toBe(1);
    state.set('b', [], 6);
    expect(state.current('a')).toBe(first);
    expect(state.current('a')).toBe(first);
    expect(state.runs).toBe(2);
  });

  test('a leader hands out the same promise and the same bytes', async () => {
    const state = new Cells();
    state.set('a', [{ A: '<' }], 5);
    const answer = state.current('a');
    expect(answer.leaderJson(false)).toBe(answer.leaderJson(false));
    expect(answer.leaderRead()).toBe(answer.leaderRead());
    const { body, isEmpty, meta } = await answer.leaderJson(false);
    expect(Buffer.from(body).toString()).toBe('[{"A":"\\u003c"}]');
    expect({ isEmpty, meta }).toEqual({
      isEmpty: false,
      meta: { index: 5, knownLeader: true, lastContactMs: 0 },
    });
  });

  test('a higher index of the same value keeps the rendered text', async () => {
    const state = new Cells();
    const value = ['x'];
    state.set('a', value, 5);
    const { body } = await state.current('a').leaderJson(true);
    state.set('a', value, 9);
    const later = await state.current('a').leaderJson(true);
    expect(later.meta.index).toBe(9);
    expect(later.body).toBe(body);
  });

  test('an index of 0 is reported as 1', () => {
    const state = new Cells();
    state.set('a', null, 0);
    expect(state.current('a').index).toBe(1);
  });

  test('failures are thrown and not kept', () => {
    const state = new Cells();
    expect(() => state.current('a')).toThrow('no cell a');
    expect(state.engine.size).toBe(0);
  });

  test('results without topics are not kept', () => {
    const state = new Cells();
    state.set('a', 1, 1, []);
    state.current('a');
    expect(state.engine.size).toBe(0);
  });

  test('the number of entries and their memory stay within limits', () => {
    const state = new Cells({ maxEntries: 10, maxBytes: 100_000, maxWaiters: 10 });
    for (let i = 0; i < 100; i++) {
      state.set(`c${i}`, ['x'.repeat(2000)], 5);
      void state.current(`c${i}`).leaderJson(false);
    }
    expect(state.engine.size).toBeLessThanOrEqual(10);
    for (let i = 0; i < 10; i++) {
      state.set(`d${i}`, ['x'.repeat(30_000)], 5);
      void state.current(`d${i}`).leaderJson(false);
    }
    expect(state.engine.bytes).toBeLessThanOrEqual(100_000);
    expect(state.engine.size).toBeGreaterThan(0);
  });

  test('what is asked for often survives eviction', () => {
    const state = new Cells({ maxEntries: 4, maxBytes: 1e9, maxWaiters: 10 });
    state.set('hot', ['x'], 5);
    state.current('hot');
    for (let i = 0; i < 20; i++) {
      state.set(`c${i}`, [], 5);
      state.current(`c${i}`);
      state.current('hot');
    }
    const runs = state.runs;
    state.current('hot');
    expect(state.runs).toBe(runs);
  });
});

describe('blocking', () => {
  test('answers at once when the index is passed already', async () => {
    const state = new Cells();
    state.set('a', 1, 5);
    expect((await state.block('a', { minIndex: 4 })).index).toBe(5);
    expect(state.engine.waiting).toBe(0);
  });

  test('wakes on a change, and evaluates once for all who wait', async () => {
    const state = new Cells();
    state.set('a', ['old'], 5);
    const calls = Array.from({ length: 100 }, () => state.block('a', { minIndex: 5 }));
    expect(state.watchers.size).toBe(1);
    state.set('a', ['new'], 6);
    const runs = state.runs;
    state.wake('a');
    const answers = await Promise.all(calls);
    expect(state.runs).toBe(runs + 1);
    expect(new Set(answers).size).toBe(1);
    expect([answers[0]?.index, answers[0]?.result.value]).toEqual([6, ['new']]);
    expect([state.engine.waiting, state.watchers.size]).toEqual([0, 0]);
  });

  test('goes on waiting when woken without its index being passed', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 10 });
    state.set('a', 'new', 7);
    state.wake('a');
    expect(await isSettled(call)).toBe(false);
    state.set('a', 'newer', 11);
    state.wake('a');
    expect((await call).index).toBe(11);
  });

  test('other topics do not wake it', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 5 });
    state.set('b', 'x', 9);
    state.wake('b');
    expect(await isSettled(call)).toBe(false);
  });

  test('times out after the wait plus at most a sixteenth, with the current result', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 99, waitMs: 1600 });
    await state.env.clock.advanceAsync(1599);
    expect(await isSettled(call)).toBe(false);
    await state.env.clock.advanceAsync(102);
    expect((await call).index).toBe(5);
    expect([state.engine.waiting, state.watchers.size]).toEqual([0, 0]);
  });

  test('an abort ends the wait with its reason', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const controller = new AbortController();
    const call = state.block('a', { minIndex: 5, signal: controller.signal });
    const other = state.block('a', { minIndex: 5 });
    controller.abort(new Error('caller left'));
    await expect(call).rejects.toThrow('caller left');
    expect(await isSettled(other)).toBe(false);
    await expect(state.block('a', { minIndex: 5, signal: controller.signal })).rejects.toThrow('caller left');
    expect(state.engine.waiting).toBe(1);
  });

  test('a restore ends every wait, even with a lower index', async () => {
    const state = new Cells();
    state.set('a', 'old', 50);
    const call = state.block('a', { minIndex: 50 });
    state.set('a', 'restored', 7);
    state.engine.restored();
    const answer = await call;
    expect([answer.index, answer.result.value]).toEqual([7, 'restored']);
  });

  test('lost leadership ends only the waits that need it', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const strict = state.block('a', { minIndex: 5, needsLeader: true });
    const stale = state.block('a', { minIndex: 5 });
    state.engine.leadershipLost();
    await expect(strict).rejects.toMatchObject({ code: 'not-leader' });
    expect(await isSettled(stale)).toBe(false);
  });

  test('a failure of the query reaches everyone', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 5 });
    state.cells.delete('a');
    state.engine.stateChanged();
    state.wake('a');
    await expect(call).rejects.toThrow('no cell a');
  });

  test('the number of waits is bounded', async () => {
    const state = new Cells({ maxEntries: 10, maxBytes: 1e9, maxWaiters: 1 });
    state.set('a', 'old', 5);
    void state.block('a', { minIndex: 5 });
    await expect(state.block('a', { minIndex: 5 })).rejects.toMatchObject({ code: 'rate-limited' });
  });

  test('waits survive the eviction of answers', async () => {
    const state = new Cells({ maxEntries: 2, maxBytes: 1e9, maxWaiters: 10 });
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 5 });
    for (let i = 0; i < 20; i++) {
      state.set(`c${i}`, i, 6);
      state.current(`c${i}`);
    }
    state.set('a', 'new', 7);
    state.wake('a');
    expect((await call).index).toBe(7);
  });

  test('answers that are waited on push out no others, and count again once nobody waits', async () => {
    const state = new Cells({ maxEntries: 2, maxBytes: 1e9, maxWaiters: 10 });
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) state.set(name, 'old', 5);
    const calls = names.map((name) => state.block(name, { minIndex: 5 }));
    state.set('x', 1, 5);
    state.current('x');
    const runs = state.runs;
    state.current('x');
    expect(state.runs).toBe(runs);
    expect(state.engine.size).toBe(6);
    for (const name of names) {
      state.set(name, 'new', 7);
      state.wake(name);
    }
    expect((await Promise.all(calls)).map(({ index }) => index)).toEqual([7, 7, 7, 7, 7]);
    state.set('y', 1, 8);
    state.current('y');
    expect(state.engine.size).toBeLessThanOrEqual(2);
  });

  test('close ends every wait', async () => {
    const state = new Cells();
    state.set('a', 'old', 5);
    const call = state.block('a', { minIndex: 5 });
    state.engine.close();
    await expect(call).rejects.toMatchObject({ code: 'shutting-down' });
    expect(state.watchers.size).toBe(0);
  });
});
