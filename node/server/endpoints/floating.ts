/** `Floating.*`: services that belong to the cluster and are carried by one agent at a time. */

import { refused } from '../../../shared/errors.ts';
import type { PlacedService } from '../../../shared/types/floating.ts';
import {
  floatingAssign,
  floatingChecks,
  floatingDeregister,
  floatingGet,
  floatingList,
  floatingOnNode,
  floatingPlace,
  floatingRegister,
} from '../../rpc/floating-endpoints.ts';
import {
  floatingPlaces,
  placedOn,
  placedServices,
  floatingPlace as placeOf,
} from '../../state/floating-records.ts';
import { checkNodeId, namedService } from './catalog.ts';
import { readFromTables, writeByCommand } from './define.ts';

/** In one command, so that one entry of the log stays of a bearable size. */
export const MAX_MOVES = 256;

export const onNodeHandler = readFromTables(floatingOnNode, (tables, { node }) => placedOn(tables, node));

export const getHandler = readFromTables(floatingGet, (tables, { node, ids }) =>
  placedServices(tables, node, ids),
);

export const placeHandler = readFromTables(floatingPlace, (tables, { kind, id }) =>
  placeOf(tables, kind, id),
);

export const listHandler = readFromTables(floatingList, (tables) => floatingPlaces(tables));

export const registerHandler = writeByCommand(
  floatingRegister,
  (args, context) => {
    if (args.node.Node === '') throw refused('Must provide node');
    if (args.node.ID !== '') checkNodeId(args.node.ID);
    if (args.parts.length === 0) throw refused('Must provide service');
    for (const { service } of args.parts) namedService(service);
    return {
      type: 'floating-register',
      registration: {
        ...args,
        node: { ...args.node, Datacenter: args.node.Datacenter || context.datacenter },
      },
      nowMs: context.env.clock.nowMs(),
    };
  },
  asPlaced,
);

export const checksHandler = writeByCommand(
  floatingChecks,
  (args, context) => ({ type: 'floating-checks', wanted: args, nowMs: context.env.clock.nowMs() }),
  asPlaced,
);

export const assignHandler = writeByCommand(
  floatingAssign,
  ({ moves }, context) => {
    if (moves.length > MAX_MOVES) throw refused(`at most ${MAX_MOVES} floating services move in one command`);
    return { type: 'floating-assign', moves, nowMs: context.env.clock.nowMs() };
  },
  (applied) => {
    if (!Array.isArray(applied)) throw new Error('floating-assign was applied without a list');
    return applied.map(String);
  },
);

export const deregisterHandler = writeByCommand(
  floatingDeregister,
  (args, context) => ({ type: 'floating-deregister', request: args, nowMs: context.env.clock.nowMs() }),
  Number,
);

function asPlaced(applied: unknown): PlacedService {
  if (typeof applied !== 'object' || applied === null || !('parts' in applied))
    throw new Error('a floating service was placed without an answer');
  // What `state/floating` returns for these commands.
  return applied as PlacedService;
}
