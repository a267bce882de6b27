/** User events: delivered once, passed on once, old ones dropped. */

import { encodeSerfMessage, type UserEvent } from '../codec/serf-messages.ts';
import type { RecentEvents } from '../codec/serf-state.ts';
import { log, type SerfContext } from './context.ts';
import { EventRing } from './event-ring.ts';
import { LamportClock } from './lamport-clock.ts';

/** Invariant: nothing before `#minTime` is delivered, and nothing twice while the ring remembers it. */
export class UserEvents {
  readonly clock = new LamportClock();
  readonly #ring = new EventRing();
  readonly #context: SerfContext;
  #minTime: bigint;

  constructor(context: SerfContext) {
    const remembered = context.config.clocks.event;
    this.#context = context;
    this.clock.witness(remembered);
    this.#minTime = remembered === 0n ? 0n : remembered + 1n;
  }

  /** The ring as it goes into a push/pull. */
  slots(): readonly (RecentEvents | undefined)[] {
    return this.#ring.slots();
  }

  /** @returns whether it is news and should be passed on */
  hear(event: UserEvent): boolean {
    this.clock.witness(event.lTime);
    if (event.lTime < this.#minTime) return false;
    const { lTime, name, payload } = event;
    const verdict = this.#ring.record(lTime, name, payload, this.clock.time);
    if (verdict === 'too-old') {
      const text = `received old event ${name} from time ${lTime} (current: ${this.clock.time})`;
      log(this.#context, 'WARN', text);
    }
    if (verdict !== 'new') return false;
    this.#context.effects.push({ kind: 'event', event: { kind: 'user', lTime, name, payload } });
    return true;
  }

  /** Delivers an own event here. @returns the message to spread */
  fire(name: string, payload: Uint8Array, coalesce: boolean): Uint8Array {
    const event: UserEvent = { type: 'user-event', lTime: this.clock.time, name, payload, coalesce };
    this.clock.increment();
    this.hear(event);
    return encodeSerfMessage(event);
  }

  /** Takes in a peer's recent events; with `ignoreOld` only its clock, so that nothing before now is delivered. */
  merge(recent: readonly (RecentEvents | undefined)[], peerTime: bigint, ignoreOld: boolean): void {
    if (ignoreOld && peerTime > this.#minTime) this.#minTime = peerTime;
    for (const slot of recent) {
      if (slot === undefined) continue;
      for (const { name, payload } of slot.events)
        this.hear({ type: 'user-event', lTime: slot.lTime, name, payload, coalesce: false });
    }
  }
}
