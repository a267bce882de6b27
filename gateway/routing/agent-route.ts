/** What a call to `/v1/agent/*` is about: one service, one check, all agents or any. Pure. */

export type AgentRoute =
  | { readonly kind: 'register-service' }
  | { readonly kind: 'register-check' }
  /** `isBlind`: the agent answers the same whether it knows the ID or not, so the owner must be sure beforehand. */
  | { readonly kind: 'service'; readonly id: string; readonly isBlind: boolean }
  | { readonly kind: 'check'; readonly id: string; readonly isBlind: boolean }
  | { readonly kind: 'merge'; readonly of: 'services' | 'checks' | 'health-by-name' }
  /** Sent to every agent. */
  | { readonly kind: 'every' }
  /** Would take an agent away that the caller can't have chosen. */
  | { readonly kind: 'refuse' }
  /** One agent, always the same while it lives. */
  | { readonly kind: 'one' };

type Make = (rest: string) => AgentRoute;

const service =
  (isBlind: boolean): Make =>
  (id) => ({ kind: 'service', id, isBlind });
const check =
  (isBlind: boolean): Make =>
  (id) => ({ kind: 'check', id, isBlind });
const fixed =
  (route: AgentRoute): Make =>
  () =>
    route;

/** Method, path below `/v1/agent/`, what it is about. A path that ends in a slash takes the rest as an ID. */
const ROUTES: readonly (readonly [method: string, path: string, make: Make])[] = [
  ['PUT', 'service/register', fixed({ kind: 'register-service' })],
  ['PUT', 'service/deregister/', service(true)],
  ['PUT', 'service/maintenance/', service(false)],
  ['GET', 'service/', service(false)],
  ['GET', 'health/service/id/', service(false)],
  ['PUT', 'check/register', fixed({ kind: 'register-check' })],
  ['PUT', 'check/deregister/', check(true)],
  ['PUT', 'check/pass/', check(false)],
  ['PUT', 'check/warn/', check(false)],
  ['PUT', 'check/fail/', check(false)],
  ['PUT', 'check/update/', check(false)],
  ['GET', 'services', fixed({ kind: 'merge', of: 'services' })],
  ['GET', 'checks', fixed({ kind: 'merge', of: 'checks' })],
  ['GET', 'health/service/name/', fixed({ kind: 'merge', of: 'health-by-name' })],
  ['PUT', 'maintenance', fixed({ kind: 'every' })],
  ['PUT', 'reload', fixed({ kind: 'every' })],
  ['PUT', 'token/', fixed({ kind: 'every' })],
  ['PUT', 'leave', fixed({ kind: 'refuse' })],
];

const PREFIX = '/v1/agent/';

/**
 * @param path decoded, starting with `/v1/agent/`
 * @returns 'one' for everything that isn't listed, wrong methods and empty IDs included: any agent has the right error
 */
export function agentRoute(method: string, path: string): AgentRoute {
  const rest = path.slice(PREFIX.length);
  for (const [wanted, prefix, make] of ROUTES) {
    if (wanted !== method) continue;
    if (prefix.endsWith('/') ? rest.startsWith(prefix) && rest !== prefix : rest === prefix)
      return make(rest.slice(prefix.length));
  }
  return { kind: 'one' };
}

export function isAgentPath(path: string | undefined): path is string {
  return path?.startsWith(PREFIX) ?? false;
}
