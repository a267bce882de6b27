import { beforeEach, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { triedAgainAtMs } from './circuit.ts';
import { MAX_REQUESTS_PER_AGENT, NodePool, type Preference } from './node-pool.ts';
import type { ListedAgent } from './pool-listing.ts';

const url = (name: string) => `http://${name}:8500`;
const agent = (name: string, changes: Partial<ListedAgent> = {}): ListedAgent => ({
  name,
  role: name.startsWith('c') ? 'client' : 'server',
  isAlive: true,
  url: url(name),
  isLeader: name === 's1',
  ...changes,
});

const INFINITE = Number.POSITIVE_INFINITY;
let pool: NodePool;

beforeEach(() => {
  pool = new NodePool([url('s1')], new SeededRandom(1));
  pool.apply(['s1', 's2', 's3', 'c1', 'c2'].map((name) => agent(name)));
});

const node = (name: string) => {
  const found = pool.byName(name);
  if (found === undefined) throw new Error(name);
  return found;
};
const pick = (prefer: Preference, tried: readonly string[] = [], nowMs = 0) =>
  pool.pick(prefer, new Set(tried.map(node)), nowMs, INFINITE)?.name;

describe('choosing', () => {
  test('the leader, then other servers, then clients', () => {
    expect(pick({ kind: 'leader' })).toBe('s1');
    expect(pick({ kind: 'leader' }, ['s1'])).toMatch(/^s[23]$/);
    expect(pick({ kind: 'leader' }, ['s1', 's2', 's3'])).toMatch(/^c/);
    expect(pick({ kind: 'leader' }, ['s1', 's2', 's3', 'c1', 'c2'])).toBeUndefined();
  });

  test('the less loaded of two', () => {
    for (const name of ['s1', 's2', 's3', 'c1']) node(name).outstanding = 50;
    const picks = Array.from({ length: 200 }, () => pick({ kind: 'any' }));
    expect(picks.filter((name) => name === 'c2').length).toBeGreaterThan(50);
  });

  test('a client where one is wanted, a server when there is none', () => {
    expect(pick({ kind: 'client' })).toMatch(/^c/);
    expect(pick({ kind: 'client' }, ['c1', 'c2'])).toMatch(/^s/);
  });

  test('a stable choice survives what happens to others', () => {
    const chosen = pick({ kind: 'stable', key: 'k' }) ?? '';
    expect(chosen).toMatch(/^s/);
    const rest = ['s1', 's2', 's3', 'c1', 'c2'].filter((name) => name !== chosen);
    pool.noteFailure(node(rest[0] ?? ''), 0);
    expect(pick({ kind: 'stable', key: 'k' })).toBe(chosen);
  });

  test('the one that is asked for or nobody', () => {
    expect(pick({ kind: 'only', url: url('c2') })).toBe('c2');
    expect(pick({ kind: 'only', url: url('c2') }, ['c2'])).toBeUndefined();
    expect(pick({ kind: 'only', url: 'http://elsewhere' })).toBeUndefined();
  });

  test('nobody who holds all the waits it may', () => {
    node('s1').waits = 3;
    expect(pool.pick({ kind: 'leader' }, new Set(), 0, 3)?.name).not.toBe('s1');
    for (const each of pool.nodes()) each.waits = 3;
    expect(pool.pick({ kind: 'leader' }, new Set(), 0, 3)).toBeUndefined();
  });
});

describe('health', () => {
  test('a failure ejects for longer each time, and a success ends it', () => {
    pool.noteFailure(node('s1'), 0);
    const until = () => triedAgainAtMs(node('s1').circuit);
    expect(until()).toBeGreaterThanOrEqual(400);
    expect(until()).toBeLessThanOrEqual(600);
    expect(pick({ kind: 'leader' })).not.toBe('s1');
    expect(pick({ kind: 'leader' }, [], 700)).toBe('s1');
    for (let i = 0; i < 20; i++) pool.noteFailure(node('s1'), 0);
    expect(until()).toBeLessThanOrEqual(36_000);
    pool.noteSuccess(node('s1'), 5);
    expect(pick({ kind: 'leader' }, [], 5)).toBe('s1');
  });

  test('after its time is over, one request is a trial', () => {
    pool.noteFailure(node('s1'), 0);
    expect(pool.dueForTrial(300)).toEqual([]);
    expect(pool.dueForTrial(700)).toEqual([node('s1')]);
    pool.noteSent(node('s1'), 700);
    expect(pick({ kind: 'leader' }, [], 700)).not.toBe('s1');
    pool.noteSuccess(node('s1'), 800);
    expect(pick({ kind: 'leader' }, [], 800)).toBe('s1');
  });

  test('three silences in a row are a failure', () => {
    for (const nowMs of [1, 2]) pool.noteSilence(node('s1'), nowMs);
    pool.noteSuccess(node('s1'), 3);
    for (const nowMs of [4, 5]) pool.noteSilence(node('s1'), nowMs);
    expect(pick({ kind: 'leader' }, [], 5)).toBe('s1');
    pool.noteSilence(node('s1'), 6);
    expect(pick({ kind: 'leader' }, [], 6)).not.toBe('s1');
  });

  test('slowness puts out at most a third of the pool', () => {
    expect(pool.noteSlow(node('s2'), 0)).toBe(true);
    expect(pool.noteSlow(node('s3'), 0)).toBe(false);
    pool.noteSuccess(node('s2'), 10);
    expect(pool.usable(10).map(({ name }) => name)).not.toContain('s2');
    pool.noteSent(node('s2'), 700);
    pool.noteSuccess(node('s2'), 710);
    expect(pool.usable(710).map(({ name }) => name)).toContain('s2');
  });

  test('nobody who has too much to do', () => {
    node('s1').outstanding = MAX_REQUESTS_PER_AGENT;
    expect(pick({ kind: 'leader' })).not.toBe('s1');
    node('s1').waits = 1;
    expect(pick({ kind: 'leader' })).toBe('s1');
  });

  test('load comes back slowly', () => {
    pool.noteFailure(node('c1'), 0);
    pool.noteSuccess(node('c1'), 1000);
    for (const name of ['s1', 's2', 's3']) node(name).waits = 9;
    const share = (nowMs: number) => {
      node('c2').outstanding = 2;
      const picks = Array.from({ length: 100 }, () => pool.pick({ kind: 'any' }, new Set(), nowMs, 9)?.name);
      return picks.filter((name) => name === 'c1').length;
    };
    expect(share(1100)).toBe(0);
    expect(share(11_000)).toBe(100);
  });

  test('when everyone seems dead, the one that may be back first is tried', () => {
    for (const each of pool.nodes()) pool.noteFailure(each, 0);
    pool.noteFailure(node('s1'), 0);
    expect(pick({ kind: 'leader' })).not.toBe('s1');
    expect(pick({ kind: 'leader' })).toBeDefined();
  });
});

describe('listings', () => {
  test('agents come and go; configured ones stay as a last resort', () => {
    expect(pool.apply([agent('s2'), agent('s3', { isLeader: true })]).toSorted()).toEqual(
      [url('c1'), url('c2')].toSorted(),
    );
    expect(pool.leader(0)?.name).toBe('s3');
    expect(pool.nodes().map((node) => node.url)).toEqual([url('s1'), url('s2'), url('s3')]);
    expect(pool.usable(0).map(({ name }) => name)).toEqual(['s2', 's3']);
  });

  test('dead is who the listing names as dead, and who lives nowhere else', () => {
    const living = ['s2', 's3', 'c1'].map((name) => agent(name));
    const moved = agent('c1', { url: 'http://c1:9500' });
    pool.apply([...living, agent('c2', { isAlive: false })]);
    expect(pool.dead().map(({ name }) => name)).toEqual(['c2']);
    pool.apply([
      ...living.slice(0, 2),
      moved,
      agent('c1', { isAlive: false }),
      agent('s1', { isAlive: false }),
    ]);
    expect(pool.dead().map(({ name }) => name)).toEqual(['s1']);
    // A configured address that no listing mentions any more may be anybody's.
    pool.apply(living);
    expect(pool.dead()).toEqual([]);
  });

  test('reads on an agent that is reported dead are given up', () => {
    let abandoned = 0;
    node('s1').abandon.add(() => abandoned++);
    pool.apply([agent('s1', { isAlive: false }), agent('s2')]);
    pool.apply([agent('s1', { isAlive: false }), agent('s2')]);
    expect(abandoned).toBe(1);
    expect(pool.leader(0)).toBeUndefined();
  });

  test('an agent without an HTTP address is nobody to talk to', () => {
    pool.apply([agent('s1'), agent('s9', { url: '' })]);
    expect(pool.byName('s9')).toBeUndefined();
  });

  test('services live on clients, on servers when there are none', () => {
    expect(pool.owners(0).map(({ name }) => name)).toEqual(['c1', 'c2']);
    pool.apply([agent('s1'), agent('s2')]);
    expect(pool.owners(0).map(({ name }) => name)).toEqual(['s1', 's2']);
  });
});
