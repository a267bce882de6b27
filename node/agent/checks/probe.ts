/** Builds the probe that a check definition asks for, with Consul's defaults filled in. */

import type { Clock } from '../../../shared/env.ts';
import { refused } from '../../../shared/errors.ts';
import type { CheckDefinition } from '../../../shared/types/definitions.ts';
import { type CheckKind, checkKind } from './check-kind.ts';
import { grpcCheck } from './grpc-check.ts';
import { h2pingCheck } from './h2ping-check.ts';
import { httpCheck, type TlsSettings } from './http-check.ts';
import { scriptCheck } from './script-check.ts';
import { tcpCheck } from './tcp-check.ts';
import type { CheckProbe } from './types.ts';
import { udpCheck } from './udp-check.ts';

export const DEFAULT_OUTPUT_MAX_BYTES = 4096;
export const MIN_INTERVAL_MS = 1_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_SCRIPT_TIMEOUT_MS = 30_000;

/** Kinds that run by themselves at an interval. */
export type ProbeKind = Exclude<CheckKind, 'ttl' | 'alias' | 'docker'>;

export interface ProbeSettings {
  readonly clock: Clock;
  /** The agent's limit, bytes; a definition can only lower it. */
  readonly outputMaxSize: number;
  /** The agent's own material, when checks are to use it. */
  readonly tls: Pick<TlsSettings, 'ca' | 'cert' | 'key'>;
}

/** The kind when it is one that `createProbe` takes; undefined for TTL, alias and definitions without any kind. */
export function probeKind(definition: CheckDefinition): ProbeKind | undefined {
  const kind = checkKind(definition);
  return kind === undefined || kind === 'ttl' || kind === 'alias' || kind === 'docker' ? undefined : kind;
}

/** @throws ConsulError 500 for a kind that this agent cannot run */
export function requireRunnable(definition: CheckDefinition): void {
  if (checkKind(definition) === 'docker')
    throw refused('Docker checks are not supported by this agent; use a script check that calls docker exec');
}

export function createProbe(
  kind: ProbeKind,
  definition: CheckDefinition,
  settings: ProbeSettings,
): CheckProbe {
  const { clock } = settings;
  const defaultTimeoutMs = kind === 'script' ? DEFAULT_SCRIPT_TIMEOUT_MS : DEFAULT_TIMEOUT_MS;
  const timeoutMs = definition.timeoutMs > 0 ? definition.timeoutMs : defaultTimeoutMs;
  const outputMaxSize = outputLimit(definition, settings.outputMaxSize);
  const tls: TlsSettings = {
    ...settings.tls,
    rejectUnauthorized: !definition.tlsSkipVerify,
    serverName: definition.tlsServerName,
  };
  switch (kind) {
    case 'http': {
      const { http: url, method, header, body } = definition;
      return httpCheck({ clock, url, method, header, body, timeoutMs, outputMaxSize, tls });
    }
    case 'tcp':
      return tcpCheck({ clock, address: definition.tcp, timeoutMs });
    case 'udp':
      return udpCheck({ clock, address: definition.udp, timeoutMs });
    case 'script':
      return scriptCheck({ clock, args: definition.scriptArgs, timeoutMs, outputMaxSize });
    case 'grpc':
      return grpcCheck({
        clock,
        target: definition.grpc,
        timeoutMs,
        tls: definition.grpcUseTls ? tls : undefined,
      });
    case 'h2ping':
      return h2pingCheck({
        clock,
        address: definition.h2ping,
        timeoutMs,
        tls: definition.h2pingUseTls ? tls : undefined,
      });
    default:
      return kind satisfies never;
  }
}

/** Bytes of output that a check keeps. */
export function outputLimit(definition: CheckDefinition, agentLimit: number): number {
  return definition.outputMaxSize > 0 ? Math.min(definition.outputMaxSize, agentLimit) : agentLimit;
}
