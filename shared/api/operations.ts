/** The API as a table: one line an operation. Agents' routes are held against it; the OpenAPI document is made from it. */

import { MUX_PATH, MUX_PROTOCOL } from '../mux/frames.ts';
import { ACL_OPERATIONS, AUTHORIZE } from './acl-operations.ts';
import { AGENT_OPERATIONS } from './agent-operations.ts';
import { MESH_OPERATIONS } from './mesh-operations.ts';
import { DISCOVERY, get, MISSING, type Operation, put, READ } from './operation.ts';
import { OPERATOR_OPERATIONS } from './operator-operations.ts';
import { anyObject, flag, list, part, text, unsigned } from './schema.ts';
import { ref } from './schemas.ts';
import { SERVER_OPERATIONS } from './server-operations.ts';

const FLOATING_PLACE = part({ ID: text, Node: text, Generation: unsigned });

const INTERNAL: readonly Operation[] = [
  get('internalUiNodes', '/v1/internal/ui/nodes', 'Nodes with everything on them.', list(ref('UiNode')), {
    query: DISCOVERY,
  }),
  get('internalUiNode', '/v1/internal/ui/node/{node}', 'One node with everything on it.', ref('UiNode'), {
    query: READ,
    otherwise: MISSING,
  }),
  get(
    'internalUiServices',
    '/v1/internal/ui/services',
    'Services in numbers.',
    list(ref('UiServiceSummary')),
    { query: DISCOVERY },
  ),
  get(
    'internalUiGatewayServices',
    '/v1/internal/ui/gateway-services-nodes/{gateway}',
    'Services behind a mesh gateway in numbers.',
    list(ref('UiServiceSummary')),
    { query: READ },
  ),
  get(
    'internalPool',
    '/v1/internal/proconsul/pool',
    'How a gateway follows the pool.',
    list(part({ node: text, id: text, role: text, status: text, httpAddress: text, isLeader: flag })),
  ),
  get(
    'internalFloatingService',
    '/v1/internal/proconsul/floating/service/{serviceId}',
    'Which node carries a floating service.',
    FLOATING_PLACE,
    { query: READ, otherwise: MISSING },
  ),
  get(
    'internalFloatingCheck',
    '/v1/internal/proconsul/floating/check/{check}',
    'Which node carries the floating service that has a check.',
    FLOATING_PLACE,
    { query: READ, otherwise: MISSING },
  ),
  {
    ...get(
      'internalMux',
      MUX_PATH,
      'Where a gateway turns a connection into a multiplexed one; any other request is answered with 426.',
    ),
    otherwise: {
      101: 'The connection goes on in frames.',
      426: `The request lacks \`Upgrade: ${MUX_PROTOCOL}\`.`,
    },
  },
  put(
    'internalWriteSession',
    '/v1/internal/proconsul/write-session',
    'Opens a session in which a gateway numbers its writes.',
    part({ ID: text }),
  ),
];

const DESCRIPTION = get('openApi', '/openapi.json', 'This description.', anyObject);

/** What agents serve, and gateways pass on. */
export const OPERATIONS: readonly Operation[] = [
  ...AGENT_OPERATIONS,
  ...SERVER_OPERATIONS,
  ...OPERATOR_OPERATIONS,
  ...INTERNAL,
  ...ACL_OPERATIONS,
  AUTHORIZE,
  ...MESH_OPERATIONS,
  DESCRIPTION,
];
