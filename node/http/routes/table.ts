/** The table of all endpoints. */

import type { Route } from '../router.ts';
import { aclRoutes } from './acl.ts';
import { agentRoutes } from './agent.ts';
import { agentCheckRoutes } from './agent-checks.ts';
import { agentHealthRoutes } from './agent-health.ts';
import { agentServiceRoutes } from './agent-services.ts';
import { catalogRoutes } from './catalog.ts';
import { coordinateRoutes } from './coordinate.ts';
import { healthRoutes } from './health.ts';
import { internalUiRoutes } from './internal-ui.ts';
import { kvRoutes } from './kv.ts';
import { operatorRoutes } from './operator.ts';
import { queryRoutes } from './query.ts';
import { sessionRoutes } from './session.ts';
import { statusRoutes } from './status.ts';
import { txnRoutes } from './txn.ts';

export const ROUTES: readonly Route[] = [
  ...aclRoutes,
  ...agentRoutes,
  ...agentServiceRoutes,
  ...agentCheckRoutes,
  ...agentHealthRoutes,
  ...catalogRoutes,
  ...coordinateRoutes,
  ...healthRoutes,
  ...internalUiRoutes,
  ...kvRoutes,
  ...operatorRoutes,
  ...queryRoutes,
  ...sessionRoutes,
  ...statusRoutes,
  ...txnRoutes,
];
