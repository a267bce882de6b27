import { describe, expect, it } from 'vitest';
import { noPathToDatacenter } from '../../shared/errors.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import type { QueryFailover, QueryMatches } from '../../shared/types/prepared-query.ts';
import type { HealthEntry } from '../../shared/types/v1.ts';
import type { AskDatacenter, QueryExecution } from './query-execution.ts';
import { executeQuery } from './query-execution.ts';

const EXECUTION: QueryExecution = {
  query: 'q',
  datacenter: '',
  ownDatacenter: 'dc1',
  near: '',
  agentNode: 'me',
  sourceAddress: '10.0.0.9',
  limit: 0,
  connect: false,
};

const NO_FAILOVER: QueryFailover = { NearestN: 0, Datacenters: null };

/** Nodes are named by the letters. */
function matches(letters: string, rest: Partial<QueryMatches> = {}, failover = NO_FAILOVER): QueryMatches {
  return {
    service: {
      Service: 'web',
      Failover: failover,
      OnlyPassing: false,
      IgnoreCheckIDs: null,
      Near: '',
      Tags: null,
      NodeMeta: null,
      ServiceMeta: null,
      Connect: false,
    },
    dns: { TTL: '9s' },
    nodes: [...letters].map((name) => ({ Node: { Node: name } }) as HealthEntry),
    ranks: null,
    near: '',
    wantsSource: false,
    ...rest,
  };
}

interface Asked {
  readonly name: string;
  readonly args: unknown;
  readonly datacenter: string;
}

/** Answers at once from a function; remembers what was asked. */
function asking(answer: (asked: Asked) => unknown): { ask: AskDatacenter; asked: Asked[] } {
  const asked: Asked[] = [];
  const ask: AskDatacenter = (endpoint, args, datacenter) => {
    const question = { name: endpoint.name, args, datacenter };
    asked.push(question);
    return answer(question) as never;
  };
  return { ask, asked };
}

const letters = (nodes: readonly HealthEntry[]) => nodes.map((entry) => entry.Node.Node).join('');

describe('executing a query', () => {
  it('answers at once when it is asked at once, in a random order', () => {
    const { ask, asked } = asking(() => matches('abcd'));
    const orders = new Set<string>();
    const random = new SeededRandom(1);
    for (let i = 0; i < 200; i++) {
      const executed = executeQuery(ask, EXECUTION, random);
      if (executed instanceof Promise) throw new Error('a promise is not needed');
      expect(executed).toMatchObject({ service: 'web', ttl: '9s', datacenter: 'dc1', failovers: 0 });
      orders.add(letters(executed.nodes));
    }
    expect(orders.size).toBe(24);
    const args = { query: 'q', connect: false, near: '', agentNode: 'me', sourceAddress: '' };
    expect(asked[0]).toEqual({ name: 'PreparedQuery.Execute', args, datacenter: '' });
  });

  it('goes by distance, at random where it is equal, and puts the near node first', async () => {
    const { ask } = asking(() => matches('abcd', { ranks: [2, 1, 0, 0], near: 'D' }));
    for (let seed = 1; seed < 20; seed++) {
      const { nodes } = await executeQuery(ask, EXECUTION, new SeededRandom(seed));
      expect(letters(nodes)).toBe('dcba');
    }
    const equal = asking(() => matches('abcd', { ranks: [1, 0, 0, 0] }));
    const orders = new Set<string>();
    for (let seed = 1; seed < 60; seed++)
      orders.add(letters((await executeQuery(equal.ask, EXECUTION, new SeededRandom(seed))).nodes));
    expect(orders.size).toBe(6);
    expect([...orders].every((order) => order.endsWith('a'))).toBe(true);
  });

  it('looks only at the first ten for the near node', async () => {
    const names = 'abcdefghijkl';
    const { ask } = asking(() => matches(names, { ranks: [...names].map((_, i) => i), near: 'k' }));
    expect(letters((await executeQuery(ask, EXECUTION, new SeededRandom(1))).nodes)).toBe(names);
  });

  it('gives at most as many as asked for', async () => {
    const { ask } = asking(() => matches('abcd', { ranks: [3, 2, 1, 0] }));
    expect(letters((await executeQuery(ask, { ...EXECUTION, limit: 2 }, new SeededRandom(1))).nodes)).toBe(
      'dc',
    );
  });

  it('says who asks only to a query that wants to know', async () => {
    const { ask, asked } = asking(() => matches('a', { wantsSource: asked.length === 1 }));
    await executeQuery(ask, EXECUTION, new SeededRandom(1));
    expect(asked.map(({ args }) => (args as { sourceAddress: string }).sourceAddress)).toEqual([
      '',
      '10.0.0.9',
    ]);
  });
});

describe('failing over', () => {
  const run = async (
    failover: QueryFailover,
    found: Readonly<Record<string, string | Error>>,
    known: string[],
  ) => {
    const { ask, asked } = asking(({ name, datacenter }) => {
      if (name === 'Catalog.ListDatacenters') return known;
      const there = found[datacenter] ?? '';
      if (there instanceof Error) throw there;
      return matches(there, {}, failover);
    });
    const executed = await executeQuery(ask, EXECUTION, new SeededRandom(1));
    const tried = asked.filter(({ name }) => name === 'PreparedQuery.ExecuteRemote');
    return { executed, tried: tried.map(({ datacenter }) => datacenter) };
  };
  const KNOWN = ['dc1', 'dc2', 'dc3', 'dc4'];

  it('is not done when there is an answer, or nothing to fail over to', async () => {
    expect((await run({ NearestN: 3, Datacenters: ['dc2'] }, { '': 'a' }, KNOWN)).tried).toEqual([]);
    const { executed, tried } = await run(NO_FAILOVER, {}, KNOWN);
    expect(tried).toEqual([]);
    expect(executed).toMatchObject({ nodes: [], datacenter: 'dc1', failovers: 0 });
  });

  it('tries the nearest, then those listed, each once and only known ones', async () => {
    const failover = { NearestN: 1, Datacenters: ['dc9', 'dc4', 'dc2', 'dc3', 'dc1'] };
    const { executed, tried } = await run(failover, { dc3: 'x' }, KNOWN);
    expect(tried).toEqual(['dc2', 'dc4', 'dc3']);
    expect(executed).toMatchObject({ datacenter: 'dc3', failovers: 3, ttl: '9s' });
    expect(letters(executed.nodes)).toBe('x');
  });

  it('passes over datacenters that fail', async () => {
    const { executed } = await run(
      { NearestN: 2, Datacenters: null },
      { dc2: noPathToDatacenter(), dc3: 'y' },
      KNOWN,
    );
    expect(executed).toMatchObject({ datacenter: 'dc3', failovers: 2 });
  });

  it('ends with nothing when nobody has it', async () => {
    const { executed } = await run({ NearestN: 9, Datacenters: null }, {}, KNOWN);
    expect(executed).toMatchObject({ nodes: [], datacenter: 'dc1', failovers: 3 });
  });
});
