/** One read of a pool on a simulated clock: it blocks, changes, fails and moves back as a test says. */

import { ConsulError } from '../../shared/errors.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { Answer } from '../exchange/exchange.ts';
import type { Incoming } from '../proxy/forward.ts';
import { splitTarget } from '../proxy/target.ts';
import { classify } from '../routing/classify.ts';
import type { AskPool } from '../views/follow.ts';

export function fakeRead(first: { index?: number; body?: string; headers?: readonly string[] } = {}) {
  const env = simulatedEnv(1);
  const asked: string[] = [];
  const waiting = new Set<() => void>();
  const state = { index: first.index ?? 5, body: first.body ?? '[]', headers: first.headers ?? [] };
  let error: ConsulError | undefined;
  let status = 200;
  const answer = (): Answer => ({
    status,
    headers: [
      'Content-Type',
      'application/json',
      'X-Consul-Index',
      String(state.index),
      'X-Consul-Knownleader',
      'true',
      'X-Consul-Lastcontact',
      '7',
      ...state.headers,
    ],
    body: new TextEncoder().encode(state.body),
  });
  const ask: AskPool = (target, _headers, cancel) =>
    new Promise((resolve, reject) => {
      asked.push(target);
      const seen = Number(/[?&]index=(\d+)/.exec(target)?.[1] ?? 0);
      const settle = () => {
        waiting.delete(wake);
        timer?.cancel();
        if (error !== undefined) reject(error);
        else resolve(answer());
      };
      const wake = () => {
        if (error !== undefined || status !== 200 || state.index !== seen) settle();
      };
      const waitMs = Number(/[?&]wait=(\d+)ms/.exec(target)?.[1] ?? 0);
      const timer = seen === state.index ? env.clock.setTimer(waitMs, settle) : undefined;
      if (error !== undefined || seen !== state.index) return settle();
      waiting.add(wake);
      cancel.onCancel(() => {
        waiting.delete(wake);
        timer?.cancel();
        reject(new ConsulError('shutting-down', 503, 'left'));
      });
    });
  const wakeAll = () => {
    for (const wake of [...waiting]) wake();
  };
  return {
    env,
    ask,
    asked,
    waits: () => waiting.size,
    change: (index: number, body = state.body) => {
      Object.assign(state, { index, body });
      wakeAll();
    },
    fail: (failure: ConsulError | undefined) => {
      error = failure;
      wakeAll();
    },
    answerWith: (newStatus: number) => {
      status = newStatus;
      wakeAll();
    },
  };
}

/** A client's GET as the layers see it. */
export function incomingGet(target: string, headers: readonly string[] = []): Incoming {
  return {
    method: 'GET',
    target,
    headers,
    body: { kind: 'none' },
    kind: classify('GET', splitTarget(target)),
    cancel: { isCancelled: false, onCancel: () => () => undefined },
  };
}
