/** What an agent has to change so that it carries exactly what is placed on it. Pure. */

import type { FloatingPlace, PlacedService } from '../../../shared/types/floating.ts';
import type { Carriage, LocalState } from '../local/local-state.ts';

export interface Plan {
  /** New here, or changed since. */
  readonly fetch: readonly FloatingPlace[];
  /** Carried on grounds that are gone: IDs of floating services. */
  readonly drop: readonly string[];
}

type Records = Pick<LocalState, 'service' | 'serviceRecords'>;

/** @param places everything that is placed on this agent, newer than all that `state` carries */
export function planCarriage(state: Records, places: readonly FloatingPlace[]): Plan {
  const carried = carriedBy(state);
  const wanted = new Set(places.map(({ id }) => id));
  return {
    fetch: places.filter(({ id, generation }) => carried.get(id)?.generation !== generation),
    drop: [...carried.keys()].filter((id) => !wanted.has(id)),
  };
}

/** By the ID of the floating service. */
export function carriedBy(state: Records): ReadonlyMap<string, Carriage> {
  const carried = new Map<string, Carriage>();
  for (const [, { floating }] of state.serviceRecords())
    if (floating !== undefined) carried.set(floating.id, floating);
  return carried;
}

/** Whether the agent has a service of its own with one of the IDs. */
export function isOwn(state: Records, { parts }: PlacedService): boolean {
  return parts.some(({ service }) => {
    const record = state.service(service.ID);
    return record !== undefined && record.floating === undefined;
  });
}
