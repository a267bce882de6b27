/** What agents do themselves: `/v1/agent/*`. */

import { get, MISSING, type Operation, put, TOKEN_NEEDED } from './operation.ts';
import { anyObject, list, mapOf, orNull, part, text } from './schema.ts';
import { ref } from './schemas.ts';

export const AGENT_OPERATIONS: readonly Operation[] = [
  get('agentSelf', '/v1/agent/self', 'What the agent is and how it is set up.', ref('AgentSelf')),
  get('agentHost', '/v1/agent/host', 'Memory, processors and disk of its machine.', anyObject),
  get('agentMembers', '/v1/agent/members', 'Members of its gossip pool.', orNull(list(ref('Member'))), {
    query: ['wan', 'segment'],
  }),
  get('agentMetrics', '/v1/agent/metrics', 'Its counters.', ref('AgentMetrics'), { query: ['format'] }),
  {
    ...get('agentMonitor', '/v1/agent/monitor', 'Its log as it is written, without end.'),
    query: ['loglevel', 'logjson'],
    answer: { bytes: 'text/plain' },
  },
  put('agentMaintenance', '/v1/agent/maintenance', 'Takes the node out of service, or back.', undefined, {
    query: ['enable', 'reason'],
  }),
  put('agentReload', '/v1/agent/reload', 'Reads the configuration files again.'),
  put('agentJoin', '/v1/agent/join/{address}', 'Joins the pool of another agent.', undefined, {
    query: ['wan'],
  }),
  put('agentLeave', '/v1/agent/leave', 'Leaves the pool and ends the agent.'),
  put('agentForceLeave', '/v1/agent/force-leave/{node}', 'Declares a failed member gone.', undefined, {
    query: ['prune'],
  }),
  put('agentToken', '/v1/agent/token/{kind}', 'Sets a token that the agent uses.', undefined, {
    body: { schema: part({ Token: text }) },
    otherwise: TOKEN_NEEDED,
  }),
  get('agentServices', '/v1/agent/services', 'Services of the agent by ID.', mapOf(ref('AgentService')), {
    query: ['filter'],
  }),
  get('agentService', '/v1/agent/service/{serviceId}', 'One service of the agent.', ref('AgentService'), {
    query: ['hash', 'wait'],
    otherwise: MISSING,
  }),
  put('agentServiceRegister', '/v1/agent/service/register', 'Registers a service.', undefined, {
    query: ['replace-existing-checks'],
    body: { schema: ref('ServiceRegistration') },
  }),
  put(
    'agentServiceDeregister',
    '/v1/agent/service/deregister/{serviceId}',
    'Removes a service and its checks.',
  ),
  put(
    'agentServiceMaintenance',
    '/v1/agent/service/maintenance/{serviceId}',
    'Takes a service out of service, or back.',
    undefined,
    { query: ['enable', 'reason'], otherwise: MISSING },
  ),
  get('agentChecks', '/v1/agent/checks', 'Checks of the agent by ID.', mapOf(ref('HealthCheck')), {
    query: ['filter'],
  }),
  put('agentCheckRegister', '/v1/agent/check/register', 'Registers a check.', undefined, {
    body: { schema: ref('CheckRegistration') },
  }),
  put('agentCheckDeregister', '/v1/agent/check/deregister/{check}', 'Removes a check.'),
  put('agentCheckPass', '/v1/agent/check/pass/{check}', 'A TTL check passes.', undefined, {
    query: ['note'],
  }),
  put('agentCheckWarn', '/v1/agent/check/warn/{check}', 'A TTL check warns.', undefined, { query: ['note'] }),
  put('agentCheckFail', '/v1/agent/check/fail/{check}', 'A TTL check fails.', undefined, { query: ['note'] }),
  put('agentCheckUpdate', '/v1/agent/check/update/{check}', 'State and output of a TTL check.', undefined, {
    body: { schema: ref('CheckUpdate') },
  }),
  get(
    'agentHealthById',
    '/v1/agent/health/service/id/{serviceId}',
    'Health of one service of the agent; the status says it too.',
    ref('AgentServiceHealth'),
    {
      query: ['format'],
      otherwise: { 429: 'Warning.', 503: 'Critical, or in maintenance.', ...MISSING },
    },
  ),
  get(
    'agentHealthByName',
    '/v1/agent/health/service/name/{service}',
    'Health of all instances of a service of the agent; the status is that of the worst.',
    list(ref('AgentServiceHealth')),
    {
      query: ['format'],
      otherwise: { 429: 'Warning.', 503: 'Critical, or in maintenance.', ...MISSING },
    },
  ),
];
