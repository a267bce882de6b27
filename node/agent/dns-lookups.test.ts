import { describe, expect, it } from 'vitest';
import { notFound } from '../../shared/errors.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import type { Backend, ReadOptions } from '../rpc/backend.ts';
import { createDnsLookups } from './dns-lookups.ts';

interface Asked {
  readonly name: string;
  readonly args: unknown;
  readonly options: ReadOptions | 'local';
}

const MAX_STALE_MS = 10_000;
/** Stands in the list for an answer that was counted as stale. */
const STALE: Asked = { name: 'stale', args: undefined, options: 'local' };

/** Answers by endpoint name, from memory as long as `lastContactMs` is a number. */
function lookupsOver(answers: Readonly<Record<string, (args: never) => unknown>>, lastContactMs?: number) {
  const asked: Asked[] = [];
  const meta = { index: 1, knownLeader: true, lastContactMs: lastContactMs ?? 0 };
  const answer = (name: string, args: unknown, options: Asked['options']) => {
    asked.push({ name, args, options });
    const found = answers[name];
    if (found === undefined) throw new Error(`no answer for ${name}`);
    return found(args as never);
  };
  const backend = {
    readLocal: (endpoint: { name: string }, args: unknown) =>
      lastContactMs === undefined ? undefined : { meta, value: answer(endpoint.name, args, 'local') },
    read: async (endpoint: { name: string }, args: unknown, options: ReadOptions) => ({
      meta,
      value: answer(endpoint.name, args, options),
    }),
  } as unknown as Backend;
  const lookups = createDnsLookups(backend, {
    datacenter: 'dc1',
    nodeName: 'me',
    random: new SeededRandom(1),
    staleness: () => ({ allowStale: true, maxStaleMs: MAX_STALE_MS }),
    staleQueries: { add: () => void asked.push(STALE) },
  });
  return { lookups, asked };
}

const MATCHES = {
  service: { Service: 'web', Failover: { NearestN: 1, Datacenters: null } },
  dns: { TTL: '3s' },
  nodes: [{ Node: { Node: 'a' } }],
  ranks: null,
  near: '',
  wantsSource: false,
};

describe('a prepared query', () => {
  it('is answered at once from memory, for the agent and the client that asks', () => {
    const { lookups, asked } = lookupsOver(
      {
        'PreparedQuery.Execute': (args: { sourceAddress: string }) => ({
          ...MATCHES,
          wantsSource: args.sourceAddress === '',
        }),
      },
      0,
    );
    expect(lookups.preparedQuery('q', 'dc1', '192.0.2.1')).toMatchObject({
      service: 'web',
      datacenter: 'dc1',
      ttl: '3s',
      nodes: MATCHES.nodes,
    });
    expect(asked.map(({ options }) => options)).toEqual(['local', 'local']);
    expect(asked[1]?.args).toMatchObject({ query: 'q', agentNode: 'me', sourceAddress: '192.0.2.1' });
  });

  it('is asked of the servers when memory is too old, and of other datacenters when nothing is found', async () => {
    const { lookups, asked } = lookupsOver(
      {
        'PreparedQuery.Execute': () => ({ ...MATCHES, nodes: [] }),
        'Catalog.ListDatacenters': () => ['dc1', 'dc2'],
        'PreparedQuery.ExecuteRemote': () => MATCHES,
      },
      20_000,
    );
    expect(await lookups.preparedQuery('q', 'dc1', '')).toMatchObject({
      datacenter: 'dc2',
      nodes: MATCHES.nodes,
    });
    const remote = asked.findLast(({ name }) => name !== 'stale');
    expect(asked).toContain(STALE);
    expect(remote).toMatchObject({ name: 'PreparedQuery.ExecuteRemote', options: { datacenter: 'dc2' } });
  });

  it('that is unknown is not found', async () => {
    const unknown = () => {
      throw notFound('Query not found');
    };
    const { lookups } = lookupsOver({ 'PreparedQuery.Execute': unknown });
    await expect(lookups.preparedQuery('q', 'dc2', '')).rejects.toThrow('Query not found');
  });
});

describe('the service at an address', () => {
  it('is a name or nothing', () => {
    const { lookups } = lookupsOver(
      {
        'Catalog.ServiceAtAddress': ({ address }: { address: string }) =>
          address === '10.0.0.1' ? 'web' : '',
      },
      0,
    );
    expect(lookups.serviceByAddress('10.0.0.1')).toBe('web');
    expect(lookups.serviceByAddress('10.0.0.2')).toBeUndefined();
  });

  it.each([
    [5000, 0],
    [5001, 1],
  ])('%i ms after the leader was heard, %i stale answers are counted', (lastContactMs, count) => {
    const { lookups, asked } = lookupsOver({ 'Catalog.ServiceAtAddress': () => 'web' }, lastContactMs);
    expect(lookups.serviceByAddress('10.0.0.1')).toBe('web');
    expect(asked.filter((each) => each === STALE)).toHaveLength(count);
  });
});
