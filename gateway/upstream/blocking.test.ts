import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { Answer } from '../exchange/exchange.ts';
import { askInLegs, parseBlocking, type WaitLeg, withWait } from './blocking.ts';

describe('parseBlocking', () => {
  const waitOf = (query: string, path = '/v1/kv/a') => parseBlocking(path, query)?.waitMs;

  test('defaults and limits are the agent’s', () => {
    expect(waitOf('index=5')).toBe(300_000);
    expect(waitOf('index=5&wait=10s')).toBe(10_000);
    expect(waitOf('index=5&wait=0s')).toBe(300_000);
    expect(waitOf('index=5&wait=-3s')).toBe(300_000);
    expect(waitOf('index=5&wait=1h')).toBe(600_000);
    expect(waitOf('index=5', '/v1/event/list')).toBe(600_000);
    expect(waitOf('hash=abc&wait=1s', '/v1/agent/service/web')).toBe(1000);
  });

  test('what does not block, or is wrong, is left to the agent', () => {
    for (const query of ['', 'index=0', 'index=', 'index=x', 'index=-1', 'index=5&wait=5', 'index=5&wait=zz'])
      expect(waitOf(query)).toBeUndefined();
    expect(waitOf('index=5', '/v1/agent/service/web')).toBeUndefined();
  });
});

test('withWait replaces the wait and nothing else', () => {
  expect(withWait('/v1/kv/a%2Fb?index=5&wait=5m&x=%20', 1234.4)).toBe(
    '/v1/kv/a%2Fb?index=5&x=%20&wait=1234ms',
  );
  expect(withWait('/v1/kv/a?index=5', 0)).toBe('/v1/kv/a?index=5&wait=1ms');
});

describe('askInLegs', () => {
  const blocking = { seen: '7', seenHeader: 'x-consul-index', waitMs: 1000 } as const;
  const answerAt = (index: number, status = 200): Answer => ({
    status,
    headers: ['X-Consul-Index', String(index)],
    body: new Uint8Array(0),
  });
  /** Each leg takes its time on the simulated clock, then gives the next answer. */
  function scripted(legMs: number, answers: readonly Answer[], takesMs = legMs) {
    const { clock } = simulatedEnv(1);
    const asked: string[] = [];
    const queue = [...answers];
    const ask = async (leg: WaitLeg) => {
      asked.push(leg.target());
      clock.advance(takesMs);
      return queue.shift() ?? answerAt(7);
    };
    return {
      asked,
      result: askInLegs('/v1/kv/a?index=7&wait=1s', blocking, { legMs, slackMs: 50, clock }, ask),
    };
  }

  test('without legs the question goes on as it came', async () => {
    const { asked, result } = scripted(0, [answerAt(7)], 10);
    await result;
    expect(asked).toEqual(['/v1/kv/a?index=7&wait=1s']);
  });

  test('legs without news are swallowed until the wait is over', async () => {
    const { asked, result } = scripted(400, []);
    await result;
    expect(asked.map((target) => /wait=(.*)/.exec(target)?.[1])).toEqual(['400ms', '400ms', '200ms']);
  });

  test('news, an index that fell, and errors end it', async () => {
    for (const end of [answerAt(8), answerAt(3), answerAt(7, 500), answerAt(9, 404)]) {
      const { asked, result } = scripted(100, [answerAt(7), answerAt(7, 404), end]);
      expect(await result).toBe(end);
      expect(asked.length).toBe(3);
    }
  });

  test('an agent that does not block is not asked in circles', async () => {
    const { asked, result } = scripted(400, [], 5);
    await result;
    expect(asked.length).toBe(1);
  });

  test('a repeated attempt asks for what is left', async () => {
    const { clock } = simulatedEnv(1);
    const targets: string[] = [];
    await askInLegs('/v1/kv/a?index=7&wait=1s', blocking, { legMs: 0, slackMs: 50, clock }, async (leg) => {
      targets.push(leg.target());
      clock.advance(600);
      targets.push(leg.target());
      expect(leg.timeoutMs()).toBeCloseTo(400 * (17 / 16) + 50);
      return answerAt(8);
    });
    expect(targets).toEqual(['/v1/kv/a?index=7&wait=1s', '/v1/kv/a?index=7&wait=400ms']);
  });
});
