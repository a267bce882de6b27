/** The sidecar proxy that `connect.sidecar_service` of a service asks for, as a definition of its own. */

import { badRequest } from '../../../shared/errors.ts';
import {
  type CheckDefinition,
  EMPTY_CHECK_DEFINITION,
  type ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import { EMPTY_PROXY, type Service, type ServiceProxy } from '../../../shared/types/v1.ts';
import { serviceIdOf } from './registration.ts';

export interface SidecarPorts {
  readonly min: number;
  /** < 1: no automatic ports. */
  readonly max: number;
}

const LISTENING_INTERVAL_MS = 10_000;

export function sidecarIdOf(serviceId: string): string {
  return `${serviceId}-sidecar-proxy`;
}

/**
 * @param services local ones: their ports are taken, except the one that this sidecar already has
 * @returns undefined when the service asks for none
 * @throws ConsulError 400 `Bad request: Invalid SidecarService: …` when no port is left
 */
export function sidecarDefinition(
  parent: ServiceDefinition,
  services: ReadonlyMap<string, Service>,
  ports: SidecarPorts,
): ServiceDefinition | undefined {
  const wanted = parent.sidecar;
  if (wanted === undefined) return undefined;
  const parentId = serviceIdOf(parent);
  const id = sidecarIdOf(parentId);
  const port = wanted.port > 0 ? wanted.port : freePort(id, services, ports);
  return {
    ...wanted,
    id,
    name: wanted.name === '' ? `${parent.name}-sidecar-proxy` : wanted.name,
    kind: wanted.kind === '' ? 'connect-proxy' : wanted.kind,
    port,
    tags: wanted.tags.length === 0 ? parent.tags : wanted.tags,
    meta: Object.keys(wanted.meta).length === 0 ? parent.meta : wanted.meta,
    token: wanted.token === '' ? parent.token : wanted.token,
    proxy: sidecarProxy(wanted.proxy ?? EMPTY_PROXY, parent, parentId),
    checks: wanted.checks.length === 0 ? defaultChecks(parentId, port) : wanted.checks,
  };
}

function sidecarProxy(given: ServiceProxy, parent: ServiceDefinition, parentId: string): ServiceProxy {
  const { DestinationServiceName, DestinationServiceID, LocalServiceAddress, LocalServicePort, ...rest } =
    given;
  const localPort = LocalServicePort || parent.port;
  return {
    DestinationServiceName: DestinationServiceName || parent.name,
    DestinationServiceID: DestinationServiceID || parentId,
    LocalServiceAddress: LocalServiceAddress || '127.0.0.1',
    ...(localPort > 0 && { LocalServicePort: localPort }),
    ...rest,
  };
}

function defaultChecks(parentId: string, port: number): CheckDefinition[] {
  return [
    {
      ...EMPTY_CHECK_DEFINITION,
      name: 'Connect Sidecar Listening',
      tcp: `127.0.0.1:${port}`,
      intervalMs: LISTENING_INTERVAL_MS,
    },
    { ...EMPTY_CHECK_DEFINITION, name: `Connect Sidecar Aliasing ${parentId}`, aliasService: parentId },
  ];
}

function freePort(sidecarId: string, services: ReadonlyMap<string, Service>, ports: SidecarPorts): number {
  const start = 'Bad request: Invalid SidecarService: no port provided for sidecar_service and';
  if (ports.min < 1 || ports.max < 1) throw badRequest(`${start} auto-assignment disabled in config`);
  const inRange = (port: number) => port >= ports.min && port <= ports.max;
  const own = services.get(sidecarId)?.Port ?? 0;
  if (inRange(own)) return own;
  const used = new Set([...services.values()].map((service) => service.Port));
  for (let port = ports.min; port <= ports.max; port++) if (!used.has(port)) return port;
  throw badRequest(`${start} none left in the configured range [${ports.min}, ${ports.max}]`);
}
