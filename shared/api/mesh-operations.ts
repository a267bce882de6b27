/** The service mesh: `/v1/connect/*` and its kin. */

import { type HttpMethod, type Operation, operation } from './operation.ts';
import { anything } from './schema.ts';

const OFF = { 500: 'The service mesh is off.' };

/** All of them answer 500: agents run no mesh. */
export const MESH_OPERATIONS: readonly Operation[] = (
  [
    ['GET', 'meshAgentRoots', 'agent/connect/ca/roots', 'Trusted roots, from the agent.'],
    ['GET', 'meshAgentLeaf', 'agent/connect/ca/leaf/{service}', 'A certificate for a service.'],
    ['POST', 'meshAuthorize', 'agent/connect/authorize', 'Whether a connection is allowed.'],
    ['GET', 'meshRoots', 'connect/ca/roots', 'Trusted roots.'],
    ['GET', 'meshCaConfiguration', 'connect/ca/configuration', 'How certificates are made.'],
    ['PUT', 'meshSetCaConfiguration', 'connect/ca/configuration', 'Changes how certificates are made.'],
    ['GET', 'meshIntentions', 'connect/intentions', 'Who may talk to whom.'],
    ['POST', 'meshCreateIntention', 'connect/intentions', 'Makes an intention.'],
    ['GET', 'meshMatchIntentions', 'connect/intentions/match', 'Intentions of a service.'],
    ['GET', 'meshCheckIntention', 'connect/intentions/check', 'Whether one service may talk to another.'],
    ['GET', 'meshIntention', 'connect/intentions/{id}', 'One intention.'],
    ['PUT', 'meshUpdateIntention', 'connect/intentions/{id}', 'Changes an intention.'],
    ['DELETE', 'meshDeleteIntention', 'connect/intentions/{id}', 'Deletes an intention.'],
    ['GET', 'meshChain', 'discovery-chain/{service}', 'Where requests to a service go.'],
    ['POST', 'meshCompileChain', 'discovery-chain/{service}', 'Where they would go.'],
  ] as const
).map(([method, id, path, summary]) => meshOperation(method, id, path, summary));

function meshOperation(method: HttpMethod, id: string, path: string, summary: string): Operation {
  const takesBody = method === 'POST' || method === 'PUT';
  const body = takesBody ? { body: { schema: anything } } : {};
  return operation(method)(id, `/v1/${path}`, summary, anything, { ...body, otherwise: OFF });
}
