/** Results of a watch, one for every change, by blocking queries that go on after errors. */

import { formatDurationMs } from '../../../../shared/durations.ts';
import { renderJson } from '../../../../shared/json.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import { type ApiClient, UnexpectedStatusError } from '../../api-client.ts';
import type { CliIo } from '../../command.ts';
import { messageOf } from '../../flag-access.ts';
import { pause } from '../../pause.ts';
import type { WatchPlan } from './plans.ts';

const RETRY_MS = 5000;
const MAX_RETRY_MS = 180_000;

export interface WatchResult {
  /** `X-Consul-Index` of the answer, decimal. */
  readonly index: string;
  readonly value: unknown;
}

/** Never ends by itself: the caller stops asking, or the interrupt ends it. Errors are reported and retried. */
export async function* watchResults(
  client: ApiClient,
  plan: WatchPlan,
  io: CliIo,
): AsyncGenerator<WatchResult> {
  let index = '';
  let shown: string | undefined;
  let failures = 0;
  while (!io.interrupted.aborted) {
    let answer: WatchResult;
    try {
      answer = await ask(client, plan, index, io.interrupted);
      failures = 0;
    } catch (error) {
      if (io.interrupted.aborted) return;
      failures++;
      await waitAfter(error, failures, io);
      continue;
    }
    if (answer.index === index) continue;
    const isRestart = index !== '' && plan.hasOrderedIndex && BigInt(answer.index) < BigInt(index);
    index = isRestart ? '' : answer.index;
    const value = plan.result(answer.value);
    const rendered = renderJson(value, false);
    if (rendered === shown) continue;
    shown = rendered;
    yield { index: answer.index, value };
  }
}

async function ask(
  client: ApiClient,
  plan: WatchPlan,
  index: string,
  signal: AbortSignal,
): Promise<WatchResult> {
  const query = { ...plan.query, index: index === '' ? undefined : index };
  const response = await client.request({ method: 'GET', path: plan.path, query, signal });
  const isMissing = response.status === 404;
  if (response.status !== 200 && !isMissing) {
    throw new UnexpectedStatusError(response.status, response.body.toString());
  }
  const header = String(response.headers['x-consul-index'] ?? '');
  return {
    // Without an index above 0 the next query would not wait.
    index: /^[1-9]\d*$/.test(header) ? header : '1',
    value: isMissing ? undefined : parseUint64Json(response.body.toString()),
  };
}

async function waitAfter(error: unknown, failures: number, io: CliIo): Promise<void> {
  const waitMs = Math.min(RETRY_MS * failures ** 2, MAX_RETRY_MS);
  io.err(
    `[ERROR] Watch errored: error=${JSON.stringify(messageOf(error))} retry=${formatDurationMs(waitMs)}\n`,
  );
  await pause(io.clock, waitMs, io.interrupted);
}
