/** The user events that this agent has heard and that are meant for it: the newest of them, and who waits for more. */

import { compilePattern, PatternError } from '../../../shared/filter/pattern.ts';
import type { Logger } from '../../../shared/log.ts';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import type { Service } from '../../../shared/types/v1.ts';
import type { GossipEvent } from '../../gossip/types.ts';
import { decodeUserEvent, EVENT_VERSION } from './event-payload.ts';

/** What gossip calls a user event: this, then its name. */
export const USER_EVENT_PREFIX = 'consul:event:';
const REMOTE_EXEC = '_rexec';
const KEPT_EVENTS = 256;

export interface EventLogOptions {
  readonly nodeName: string;
  /** Local services by ID. */
  readonly services: () => ReadonlyMap<string, Pick<Service, 'Tags'>>;
  /** Takes up remote executions; undefined while they are disabled. */
  readonly execute?: ((event: UserEvent) => void) | undefined;
  readonly log: Logger;
}

export interface EventLog {
  /** Takes what gossip delivers; anything but a user event for this node is passed over. */
  hear(event: GossipEvent): void;
  /** Oldest first. */
  list(): readonly UserEvent[];
  /** Calls back once, when the next event has come. @returns ends the wait */
  onNext(arrived: () => void): () => void;
}

export function createEventLog(options: EventLogOptions): EventLog {
  const { log } = options;
  let events: readonly UserEvent[] = [];
  let waiting = new Set<() => void>();

  function keep(event: UserEvent): void {
    if (event.version > EVENT_VERSION)
      log.warn('Event version may have unsupported features', { event: event.name, version: event.version });
    if (!isMeantForUs(event, options)) return;
    if (event.name === REMOTE_EXEC) {
      if (options.execute !== undefined) options.execute(event);
      else log.info('ignoring remote exec event, disabled.', { event_name: event.name, event_id: event.id });
      return;
    }
    log.debug('new event', { event_name: event.name, event_id: event.id });
    events = [...events.slice(1 - KEPT_EVENTS), event];
    const woken = waiting;
    waiting = new Set();
    for (const arrived of woken) arrived();
  }

  return {
    hear(event) {
      if (event.kind !== 'user' || !event.name.startsWith(USER_EVENT_PREFIX)) return;
      const decoded = decodeUserEvent(event.payload, event.lTime);
      if (decoded === undefined) log.error('Failed to decode event', { event: event.name });
      else keep(decoded);
    },
    list: () => events,
    onNext(arrived) {
      waiting.add(arrived);
      return () => waiting.delete(arrived);
    },
  };
}

/** A filter that does not compile fits nothing: whoever fired it was told, or is no agent of ours. */
function isMeantForUs(event: UserEvent, { nodeName, services, log }: EventLogOptions): boolean {
  try {
    if (event.nodeFilter !== '' && !compilePattern(event.nodeFilter)(nodeName)) return false;
    if (event.serviceFilter === '') return true;
    const fitsService = compilePattern(event.serviceFilter);
    const fitsTag = event.tagFilter === '' ? undefined : compilePattern(event.tagFilter);
    for (const [id, { Tags }] of services()) {
      if (fitsService(id) && (fitsTag === undefined || (Tags ?? []).some(fitsTag))) return true;
    }
    return false;
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    log.error('failed to parse a filter of the event', { event: event.name, error: error.message });
    return false;
  }
}
