/** Fires a user event: checks it, gives it an identity, and has a server spread it. */

import { type Random, randomUuid } from '../../../shared/env.ts';
import { refused } from '../../../shared/errors.ts';
import { compilePattern, PatternError } from '../../../shared/filter/pattern.ts';
import type { NewUserEvent, UserEvent } from '../../../shared/types/user-event.ts';
import type { Backend, CallOptions } from '../../rpc/backend.ts';
import { internalEventFire } from '../../rpc/operator-endpoints.ts';
import { EVENT_VERSION, encodeUserEvent } from './event-payload.ts';

/** @throws ConsulError 500 for a bad filter or when it is too large for gossip */
export async function fireUserEvent(
  backend: Backend,
  random: Random,
  given: NewUserEvent,
  options: CallOptions,
): Promise<UserEvent> {
  checkFilters(given);
  const event: UserEvent = { ...given, id: randomUuid(random), version: EVENT_VERSION, lTime: 0n };
  const payload = encodeUserEvent(event);
  await backend.write(internalEventFire, { name: event.name, payload }, options);
  return event;
}

function checkFilters({ nodeFilter, serviceFilter, tagFilter }: NewUserEvent): void {
  if (tagFilter !== '' && serviceFilter === '')
    throw refused('Cannot provide tag filter without service filter');
  const filters = { node: nodeFilter, service: serviceFilter, tag: tagFilter };
  for (const [kind, pattern] of Object.entries(filters)) {
    try {
      compilePattern(pattern);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw refused(`Invalid ${kind} filter: error parsing regexp: ${error.message}`);
    }
  }
}
