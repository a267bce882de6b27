/** `/v1/event/*`: firing user events, and those that this agent has heard. */

import { badRequest } from '../../../shared/errors.ts';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import { durationOr } from '../read-options.ts';
import { jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions } from './parts.ts';

/** Far above what gossip carries: larger bodies are refused unread. */
const MAX_BODY_BYTES = 64 * 1024;
/** Default and limit of a wait, without regard to the limits of other blocking queries. */
const MAX_WAIT_MS = 600_000;

export const eventRoutes = [route('PUT', '/v1/event/fire/', fire), route('GET', '/v1/event/list', list)];

async function fire(request: HttpRequest): Promise<Reply> {
  const name = request.after('/v1/event/fire/');
  if (name === '') throw badRequest('Missing name');
  const { query } = request;
  const tooLarge = `Request body too large, max size: ${MAX_BODY_BYTES} bytes.`;
  const body = await request.body(MAX_BODY_BYTES, () => tooLarge);
  const event = {
    name,
    payload: body.length === 0 ? null : body,
    nodeFilter: query.text('node'),
    serviceFilter: query.text('service'),
    tagFilter: query.text('tag'),
  };
  const { agent } = request.context.dependencies;
  return jsonReply(eventJson(await agent.fireEvent(event, callOptions(request))), request.isPretty);
}

/** The index is no sequence but a digest of the newest event, so a wait ends as soon as it differs. */
async function list(request: HttpRequest): Promise<Reply> {
  const { agent, env } = request.context.dependencies;
  const { query } = request;
  const wait = query.text('wait');
  const requestedMs = wait === '' ? 0 : durationOr(wait, 'Invalid wait time');
  const index = query.text('index');
  if (index !== '' && !isUint64(index)) throw badRequest('Invalid index');
  const seen = index === '' ? 0n : BigInt(index);
  const name = query.text('name');
  const endMs = env.clock.monotonicMs() + Math.min(requestedMs > 0 ? requestedMs : MAX_WAIT_MS, MAX_WAIT_MS);
  for (;;) {
    const events = agent.events().filter((event) => name === '' || event.name === name);
    const current = indexOf(events);
    const leftMs = endMs - env.clock.monotonicMs();
    if (seen === 0n || seen !== current || leftMs <= 0)
      return jsonReply(events.map(eventJson), request.isPretty, ['X-Consul-Index', String(current)]);
    await nextEvent(request, leftMs);
  }
}

function nextEvent(request: HttpRequest, atMostMs: number): Promise<void> {
  const { agent, env } = request.context.dependencies;
  const signal = request.waitSignal();
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const end = () => {
      timer.cancel();
      cancel();
      signal.removeEventListener('abort', onAbort);
    };
    const onAbort = () => {
      end();
      reject(signal.reason);
    };
    const onDone = () => {
      end();
      resolve();
    };
    const timer = env.clock.setTimer(atMostMs, onDone);
    const cancel = agent.onEvent(onDone);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Both halves of the newest event's ID, one over the other; 1 when there is none. */
function indexOf(events: readonly UserEvent[]): bigint {
  const newest = events.at(-1);
  if (newest === undefined) return 1n;
  const digits = newest.id.replaceAll('-', '');
  return BigInt(`0x${digits.slice(0, 16)}`) ^ BigInt(`0x${digits.slice(16)}`);
}

function eventJson(event: UserEvent): Record<string, unknown> {
  return {
    ID: event.id,
    Name: event.name,
    Payload: event.payload === null ? null : Buffer.from(event.payload).toString('base64'),
    NodeFilter: event.nodeFilter,
    ServiceFilter: event.serviceFilter,
    TagFilter: event.tagFilter,
    Version: event.version,
    LTime: event.lTime,
  };
}

function isUint64(text: string): boolean {
  return /^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n;
}
