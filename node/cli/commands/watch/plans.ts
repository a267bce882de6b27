/** What each type of watch asks the agent for, and in which form its result is shown. */

import type { KvEntry } from '../../../../shared/types/v1.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import { encodePath } from '../../client-command.ts';
import { listFlag, optionalTextFlag, textFlag } from '../../flag-access.ts';
import { asCheck, asHealthEntry, asKeyValue } from './shapes.ts';

export interface WatchPlan {
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** From the body of the answer, undefined after a 404, to what is shown. */
  readonly result: (body: unknown) => unknown;
  /** Whether a smaller index means that the servers started over, as it does everywhere but for events. */
  readonly hasOrderedIndex: boolean;
}

/** The flags do not make a watch. The message is shown as it is. */
export class WatchPlanError extends Error {
  override readonly name = 'WatchPlanError';
}

type PlanMaker = (flags: ParsedFlags) => Pick<WatchPlan, 'path' | 'query' | 'result'>;

/** Flags that only some types take. */
const PARAMETERS = ['key', 'name', 'passingonly', 'prefix', 'service', 'state', 'tag'] as const;
type Parameter = (typeof PARAMETERS)[number];

const TYPES: Readonly<Record<string, { takes: readonly Parameter[]; plan: PlanMaker }>> = {
  key: { takes: ['key'], plan: keyPlan },
  keyprefix: { takes: ['prefix'], plan: prefixPlan },
  services: { takes: [], plan: () => plain('/v1/catalog/services') },
  nodes: { takes: [], plan: () => plain('/v1/catalog/nodes') },
  service: { takes: ['service', 'tag', 'passingonly'], plan: servicePlan },
  checks: { takes: ['service', 'state'], plan: checksPlan },
  event: { takes: ['name'], plan: eventPlan },
};

/** Types that Consul knows and its command line does not take either. */
const MESH_TYPES = new Set(['connect_roots', 'connect_leaf', 'agent_service']);

/** @throws WatchPlanError */
export function watchPlan(type: string, flags: ParsedFlags): WatchPlan {
  if (MESH_TYPES.has(type)) throw new WatchPlanError(`Type ${type} is not supported in the CLI tool`);
  const known = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (known === undefined) throw new WatchPlanError(`Unsupported watch type: ${type}`);
  const plan = known.plan(flags);
  const extra = PARAMETERS.filter((name) => isGiven(flags, name) && !known.takes.includes(name));
  if (extra.length > 0) throw new WatchPlanError(`Invalid parameters: [${extra.join(' ')}]`);
  const filter = optionalTextFlag(flags, 'filter');
  return { ...plan, query: { ...plan.query, filter }, hasOrderedIndex: type !== 'event' };
}

function isGiven(flags: ParsedFlags, name: Parameter): boolean {
  return listFlag(flags, name).length > 0 || textFlag(flags, name) !== '';
}

function plain(path: string): ReturnType<PlanMaker> {
  return { path, query: {}, result: (body) => body ?? null };
}

function keyPlan(flags: ParsedFlags): ReturnType<PlanMaker> {
  const key = textFlag(flags, 'key');
  if (key === '') throw new WatchPlanError('Must specify a single key to watch');
  return {
    path: `/v1/kv/${encodePath(key)}`,
    query: {},
    result: (body) => (body === undefined ? null : asKeyValue((body as KvEntry[])[0] as KvEntry)),
  };
}

function prefixPlan(flags: ParsedFlags): ReturnType<PlanMaker> {
  const prefix = textFlag(flags, 'prefix');
  if (prefix === '') throw new WatchPlanError('Must specify a single prefix to watch');
  return {
    path: `/v1/kv/${encodePath(prefix)}`,
    query: { recurse: '' },
    result: (body) => (body === undefined ? null : (body as KvEntry[]).map(asKeyValue)),
  };
}

function servicePlan(flags: ParsedFlags): ReturnType<PlanMaker> {
  const service = textFlag(flags, 'service');
  if (service === '') throw new WatchPlanError('Must specify a single service to watch');
  const tags = listFlag(flags, 'tag');
  const isPassingOnly = parseBool(textFlag(flags, 'passingonly'));
  return {
    path: `/v1/health/service/${encodeURIComponent(service)}`,
    query: { tag: tags.length === 0 ? undefined : tags, passing: isPassingOnly ? '1' : undefined },
    result: (body) => (Array.isArray(body) ? body.map(asHealthEntry) : null),
  };
}

function checksPlan(flags: ParsedFlags): ReturnType<PlanMaker> {
  const service = textFlag(flags, 'service');
  const state = textFlag(flags, 'state');
  if (service !== '' && state !== '') throw new WatchPlanError('Cannot specify service and state');
  const path =
    service === ''
      ? `/v1/health/state/${encodeURIComponent(state === '' ? 'any' : state)}`
      : `/v1/health/checks/${encodeURIComponent(service)}`;
  return { path, query: {}, result: (body) => (Array.isArray(body) ? body.map(asCheck) : null) };
}

/** Shows only events that came after those of the result before. */
function eventPlan(flags: ParsedFlags): ReturnType<PlanMaker> {
  let newestShown: string | undefined;
  return {
    path: '/v1/event/list',
    query: { name: optionalTextFlag(flags, 'name') },
    result(body) {
      const events = Array.isArray(body) ? (body as { ID: string }[]) : [];
      const shown = events.findLastIndex((event) => event.ID === newestShown);
      newestShown = events.at(-1)?.ID ?? newestShown;
      return events.slice(shown + 1);
    },
  };
}

function parseBool(text: string): boolean {
  if (text === '' || ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  throw new WatchPlanError(
    `Failed to parse passingonly flag: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}
