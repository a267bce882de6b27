import { expect, test } from 'vitest';
import { silentLogger } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { GossipPool } from '../gossip/types.ts';
import { createJoiner } from './joining.ts';

/** Only `join` is used; answers come from the list, then repeat the last one. */
function poolAnswering(answers: (number | Error)[]): { pool: GossipPool; calls: (readonly string[])[] } {
  const calls: (readonly string[])[] = [];
  const join = async (addresses: readonly string[]) => {
    calls.push(addresses);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer ?? 0;
  };
  return { pool: { join } as unknown as GossipPool, calls };
}

const settings = {
  startJoin: ['10.0.0.1'],
  retryJoin: ['10.0.0.2', '10.0.0.3'],
  retryIntervalMs: 1000,
  retryMax: 0,
};

test('start_join asks once and fails with the pool', async () => {
  const { pool, calls } = poolAnswering([new Error('refused')]);
  const joiner = createJoiner(pool, 'LAN', settings, simulatedEnv(1).clock, silentLogger);
  await expect(joiner.startJoin()).rejects.toThrow('refused');
  expect(calls).toEqual([['10.0.0.1']]);
});

test('retry_join asks all addresses again after the interval until it works', async () => {
  const { clock } = simulatedEnv(1);
  const { pool, calls } = poolAnswering([new Error('a'), new Error('b'), 2]);
  createJoiner(pool, 'LAN', settings, clock, silentLogger).startRetrying(() => expect.unreachable());
  await clock.advanceAsync(10_000);
  expect(calls).toEqual(Array.from({ length: 3 }, () => ['10.0.0.2', '10.0.0.3']));
});

test('retry_max ends the attempts and says so', async () => {
  const { clock } = simulatedEnv(1);
  const { pool, calls } = poolAnswering([new Error('a')]);
  const exhausted: string[] = [];
  const joiner = createJoiner(pool, 'WAN', { ...settings, retryMax: 2 }, clock, silentLogger);
  joiner.startRetrying((error) => exhausted.push(error.message));
  await clock.advanceAsync(60_000);
  expect(calls).toHaveLength(3);
  expect(exhausted).toEqual(['agent: max join WAN retry exhausted, exiting']);
});

test('stop ends the retrying', async () => {
  const { clock } = simulatedEnv(1);
  const { pool, calls } = poolAnswering([new Error('a')]);
  const joiner = createJoiner(pool, 'LAN', settings, clock, silentLogger);
  joiner.startRetrying(() => expect.unreachable());
  await clock.advanceAsync(1500);
  joiner.stop();
  await clock.advanceAsync(10_000);
  expect(calls).toHaveLength(2);
});
