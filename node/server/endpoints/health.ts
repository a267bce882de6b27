/** `Health.*`: checks, and services with their health. */

import {
  healthChecksInState,
  healthNodeChecks,
  healthServiceChecks,
  healthServiceNodes,
} from '../../rpc/endpoints.ts';
import {
  checksInState,
  isPassing,
  nodeChecks,
  serviceChecks,
  serviceHealth,
} from '../../state/health-queries.ts';
import { narrowed, readFromTables } from './define.ts';

export const nodeChecksHandler = readFromTables(healthNodeChecks, (tables, args) =>
  narrowed(
    tables,
    nodeChecks(tables, args.node),
    'check',
    { filter: args.filter, near: '' },
    (check) => check.Node,
  ),
);

export const serviceChecksHandler = readFromTables(healthServiceChecks, (tables, args) => {
  const answer = serviceChecks(tables, args.service, args.nodeMeta);
  return narrowed(tables, answer, 'check', args, (check) => check.Node);
});

export const checksInStateHandler = readFromTables(healthChecksInState, (tables, args) => {
  const answer = checksInState(tables, args.state, args.nodeMeta);
  return narrowed(tables, answer, 'check', args, (check) => check.Node);
});

export const serviceHealthHandler = readFromTables(healthServiceNodes, (tables, args) => {
  const answer = serviceHealth(tables, args.service, args.kind, args.tags, args.nodeMeta);
  const narrow = narrowed(tables, answer, 'health-entry', args, (entry) => entry.Node.Node);
  return args.passingOnly ? { ...narrow, value: narrow.value.filter(isPassing) } : narrow;
});
