import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import type { JsonReply } from '../rpc/backend.ts';
import { AgentCache, type CacheLookup } from './agent-cache.ts';

let env: SimulatedEnv;
let cache: AgentCache;
let source: Source;

/** A value with an index; blocking fetches wait for the next change. */
class Source {
  fetches = 0;
  failing = false;
  #index = 5;
  readonly #waiting = new Set<() => void>();

  change(): void {
    this.#index++;
    for (const wakeUp of [...this.#waiting]) wakeUp();
  }

  fetch = async (minIndex: number, _waitMs: number, signal: AbortSignal | undefined): Promise<JsonReply> => {
    this.fetches++;
    if (this.failing) throw new Error('No cluster leader');
    if (minIndex >= this.#index)
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    if (this.failing) throw new Error('No cluster leader');
    const meta = { index: this.#index, knownLeader: true, lastContactMs: 0 };
    return { meta, body: Buffer.from(String(this.#index)), isEmpty: false };
  };
}

beforeEach(() => {
  env = simulatedEnv(1);
  cache = new AgentCache(env);
  source = new Source();
});

afterEach(() => cache.close());

function lookup(changes: Partial<CacheLookup> = {}): CacheLookup {
  return {
    key: 'k',
    kind: 'refresh',
    fetch: source.fetch,
    minIndex: 0,
    waitMs: 0,
    signal: undefined,
    maxAgeMs: undefined,
    ...changes,
  };
}

async function got(changes: Partial<CacheLookup> = {}): Promise<string> {
  const { reply, isHit, ageMs } = await cache.get(lookup(changes));
  return `${isHit ? 'hit' : 'miss'} ${Buffer.from(reply.body)} ${ageMs}`;
}

describe('the refreshing kind', () => {
  test('the first caller fetches, the next are served, changes come in by themselves', async () => {
    expect(await got()).toBe('miss 5 0');
    expect(await got({ maxAgeMs: 0 })).toBe('hit 5 0');
    source.change();
    await env.clock.advanceAsync(0);
    expect(await got()).toBe('hit 6 0');
  });

  test('concurrent first callers share one fetch', async () => {
    await Promise.all([cache.get(lookup()), cache.get(lookup())]);
    // One to fill the entry, one that follows it.
    expect(source.fetches).toBe(2);
  });

  test('a failed first fetch is not kept', async () => {
    source.failing = true;
    await expect(cache.get(lookup())).rejects.toThrow('No cluster leader');
    source.failing = false;
    expect(await got()).toBe('miss 5 0');
  });

  test('an answer that is no longer followed ages, and recovers', async () => {
    await got();
    source.failing = true;
    source.change();
    await env.clock.advanceAsync(2500);
    expect(await got()).toBe('hit 5 2500');
    source.failing = false;
    await env.clock.advanceAsync(60_000);
    expect(await got()).toBe('hit 6 0');
  });

  test('a caller blocks until the cached index grows', async () => {
    await got();
    const waiting = got({ minIndex: 5, waitMs: 1000 });
    await env.clock.advanceAsync(500);
    source.change();
    expect(await waiting).toBe('hit 6 0');
  });

  test('or until its time is up', async () => {
    await got();
    const waiting = got({ minIndex: 5, waitMs: 1600 });
    await env.clock.advanceAsync(1701);
    expect(await waiting).toBe('hit 5 0');
  });

  test('or until it goes away', async () => {
    await got();
    const caller = new AbortController();
    const waiting = cache.get(lookup({ minIndex: 5, waitMs: 1000, signal: caller.signal }));
    caller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });

  test('closing ends all fetches', async () => {
    await got();
    const before = source.fetches;
    cache.close();
    source.change();
    await env.clock.advanceAsync(100_000);
    expect(source.fetches).toBe(before);
    expect(await got()).toBe('miss 6 0');
  });
});

describe('the simple kind', () => {
  test('keeps what it has unless a younger answer is asked for', async () => {
    expect(await got({ kind: 'simple' })).toBe('miss 5 0');
    source.change();
    env.clock.advance(5000);
    expect(await got({ kind: 'simple' })).toBe('hit 5 5000');
    expect(await got({ kind: 'simple', maxAgeMs: 6000 })).toBe('hit 5 5000');
    expect(await got({ kind: 'simple', maxAgeMs: 5000 })).toBe('miss 6 0');
  });

  test('an old answer stands in for one that fails, as far as the caller allows', async () => {
    await got({ kind: 'simple' });
    env.clock.advance(5000);
    source.failing = true;
    const asked = { kind: 'simple', maxAgeMs: 0 } as const;
    expect(await got({ ...asked, staleIfErrorMs: 6000 })).toBe('hit 5 5000');
    await expect(got({ ...asked, staleIfErrorMs: 5000 })).rejects.toThrow('No cluster leader');
    await expect(got(asked)).rejects.toThrow('No cluster leader');
  });

  test('nothing stands in for a first answer that fails', async () => {
    source.failing = true;
    await expect(got({ kind: 'simple', staleIfErrorMs: 6000 })).rejects.toThrow('No cluster leader');
  });
});

test('the number of entries is bounded, the least used goes first', async () => {
  for (let i = 0; i < 1024; i++) await cache.get(lookup({ key: `k${i}`, kind: 'simple' }));
  expect(await got({ key: 'k0', kind: 'simple' })).toMatch(/^hit/);
  await cache.get(lookup({ key: 'one more', kind: 'simple' }));
  expect(await got({ key: 'k0', kind: 'simple' })).toMatch(/^hit/);
  expect(await got({ key: 'k1', kind: 'simple' })).toMatch(/^miss/);
});
