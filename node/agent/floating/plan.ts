/** What an agent has to change so that it carries exactly what is placed on it. Pure. */

import type { FloatingPlace, PlacedService } from '../../../shared/types/floating.ts';
import type { LocalState } from '../local/local-state.ts';

export interface Plan {
  /** New here, or changed since. */
  readonly fetch: readonly FloatingPlace[];
  /** Carried on grounds that are gone: IDs of floating services. */
  readonly drop: readonly string[];
}

/** @param places everything that is placed on this agent, newer than all that `state` carries */
export function planCarriage(state: Pick<LocalState, 'carriages'>, places: readonly FloatingPlace[]): Plan {
  const carried = new Map([...state.carriages()].map(({ id, generation }) => [id, generation]));
  const wanted = new Set(places.map(({ id }) => id));
  return {
    fetch: places.filter(({ id, generation }) => carried.get(id) !== generation),
    drop: [...carried.keys()].filter((id) => !wanted.has(id)),
  };
}

/** Whether the agent has a service of its own with one of the IDs. */
export function isOwn(state: Pick<LocalState, 'service'>, { parts }: PlacedService): boolean {
  return parts.some(({ service }) => {
    const record = state.service(service.ID);
    return record !== undefined && record.floating === undefined;
  });
}
