/** The table of all endpoints. */

import type { Route } from '../router.ts';
import { aclRoutes } from './acl.ts';
import { agentRoutes } from './agent.ts';
import { agentCheckRoutes } from './agent-checks.ts';
import { agentHealthRoutes } from './agent-health.ts';
import { agentServiceRoutes } from './agent-services.ts';
import { autopilotRoutes } from './autopilot.ts';
import { catalogRoutes } from './catalog.ts';
import { configRoutes } from './config.ts';
import { connectRoutes } from './connect.ts';
import { coordinateRoutes } from './coordinate.ts';
import { debugRoutes } from './debug.ts';
import { eventRoutes } from './event.ts';
import { healthRoutes } from './health.ts';
import { internalUiRoutes } from './internal-ui.ts';
import { keyringRoutes } from './keyring.ts';
import { kvRoutes } from './kv.ts';
import { openApiRoutes } from './openapi.ts';
import { operatorRoutes } from './operator.ts';
import { queryRoutes } from './query.ts';
import { sessionRoutes } from './session.ts';
import { snapshotRoutes } from './snapshot.ts';
import { statusRoutes } from './status.ts';
import { txnRoutes } from './txn.ts';
import { writeSessionRoutes } from './write-session.ts';

export const ROUTES: readonly Route[] = [
  ...aclRoutes,
  ...agentRoutes,
  ...agentServiceRoutes,
  ...agentCheckRoutes,
  ...agentHealthRoutes,
  ...autopilotRoutes,
  ...catalogRoutes,
  ...configRoutes,
  ...connectRoutes,
  ...coordinateRoutes,
  ...debugRoutes,
  ...eventRoutes,
  ...healthRoutes,
  ...internalUiRoutes,
  ...keyringRoutes,
  ...kvRoutes,
  ...openApiRoutes,
  ...operatorRoutes,
  ...queryRoutes,
  ...sessionRoutes,
  ...snapshotRoutes,
  ...statusRoutes,
  ...txnRoutes,
  ...writeSessionRoutes,
];
