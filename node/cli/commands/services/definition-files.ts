/** Service definitions of agent files, and the body in which the API takes one. */

import { formatDurationMs } from '../../../../shared/durations.ts';
import type { CheckDefinition, ServiceDefinition } from '../../../../shared/types/definitions.ts';
import { isTree, mergeTrees } from '../../../config/decode.ts';
import { list, serviceFromTree } from '../../../config/definitions.ts';
import { readConfigPath } from '../../../config/load.ts';

/**
 * Every service of the files, in order. Other keys of the files are ignored.
 * @throws ConfigError, DurationSyntaxError
 */
export function servicesFromFiles(paths: readonly string[]): ServiceDefinition[] {
  const skipped: string[] = [];
  return paths.flatMap((path) => {
    const sources = readConfigPath(path, undefined, skipped);
    const [reason] = skipped;
    if (reason !== undefined) throw new Error(reason);
    // Merging onto nothing puts a single `service` into the list.
    return sources
      .flatMap(({ tree }) => list(mergeTrees({}, tree).services))
      .filter(isTree)
      .map(serviceFromTree);
  });
}

/** The JSON body of `PUT /v1/agent/service/register`; what is unset is left out. */
export function registrationBody(service: ServiceDefinition): Record<string, unknown> {
  const checks = service.checks.map(checkBody);
  const connect = {
    ...(service.connectNative ? { Native: true } : {}),
    ...(service.sidecar === undefined ? {} : { SidecarService: registrationBody(service.sidecar) }),
  };
  return withoutEmpty({
    Kind: service.kind,
    ID: service.id,
    Name: service.name,
    Tags: service.tags,
    Port: service.port,
    Address: service.address,
    TaggedAddresses: service.taggedAddresses,
    EnableTagOverride: service.enableTagOverride,
    Meta: service.meta,
    Weights: service.weights,
    Token: service.token,
    Check: checks.length === 1 ? checks[0] : undefined,
    Checks: checks.length > 1 ? checks : undefined,
    Proxy: service.proxy,
    Connect: connect,
  });
}

function checkBody(check: CheckDefinition): Record<string, unknown> {
  const duration = (ms: number) => (ms === 0 ? '' : formatDurationMs(ms));
  return withoutEmpty({
    CheckID: check.id,
    Name: check.name,
    Notes: check.notes,
    Status: check.status,
    ScriptArgs: check.scriptArgs,
    DockerContainerID: check.dockerContainerId,
    Shell: check.shell,
    HTTP: check.http,
    Method: check.method,
    Header: check.header,
    Body: check.body,
    TCP: check.tcp,
    UDP: check.udp,
    GRPC: check.grpc,
    GRPCUseTLS: check.grpcUseTls,
    H2PING: check.h2ping,
    H2PingUseTLS: check.h2ping !== '' && !check.h2pingUseTls ? false : undefined,
    TLSSkipVerify: check.tlsSkipVerify,
    TLSServerName: check.tlsServerName,
    AliasNode: check.aliasNode,
    AliasService: check.aliasService,
    TTL: duration(check.ttlMs),
    Interval: duration(check.intervalMs),
    Timeout: duration(check.timeoutMs),
    DeregisterCriticalServiceAfter: duration(check.deregisterCriticalServiceAfterMs),
    SuccessBeforePassing: check.successBeforePassing,
    FailuresBeforeCritical: check.failuresBeforeCritical,
    OutputMaxSize: check.outputMaxSize,
  });
}

/** Zero values mean the same as absent ones to the API, except a `false` that a caller set on purpose beside its key. */
function withoutEmpty(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([key, value]) => {
      if (key === 'H2PingUseTLS') return value !== undefined;
      if (value === undefined || value === '' || value === 0 || value === false) return false;
      return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
    }),
  );
}
