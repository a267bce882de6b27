/** Runs whatever kind of check a definition asks for and reports its results; nothing for definitions without a kind. */

import type { CheckDefinition } from '../../../shared/types/definitions.ts';
import type { HealthCheck } from '../../../shared/types/v1.ts';
import { type LocalView, watchLocalAlias, watchRemoteAlias } from '../checks/alias-watch.ts';
import { checkKind } from '../checks/check-kind.ts';
import { createCheckMonitor } from '../checks/monitor.ts';
import { expiredTtlOutput } from '../checks/output-buffer.ts';
import { createProbe, DEFAULT_OUTPUT_MAX_BYTES, type ProbeSettings } from '../checks/probe.ts';
import { type CheckResult, critical } from '../checks/types.ts';
import type { LocalState } from './local-state.ts';
import type { LocalAgentOptions } from './types.ts';

export interface CheckRunner {
  /** Starts or replaces. */
  start(checkId: string, definition: CheckDefinition): void;
  stop(checkId: string): void;
  hasTtl(checkId: string): boolean;
  /** Restarts the TTL. `output` is what is told should it pass. */
  renewTtl(checkId: string, output: string): void;
  counts(): { readonly scripts: number; readonly ttls: number };
  close(): void;
}

const DEFAULT_MAX_RUNNING = 256;

export function createCheckRunner(
  options: LocalAgentOptions,
  state: LocalState,
  report: (checkId: string, result: CheckResult) => void,
): CheckRunner {
  const aliases = new Map<string, () => void>();
  /** Of TTL checks since they were last registered. */
  const lastOutputs = new Map<string, string>();
  const settings = probeSettings(options);
  const view = localView(state);
  const monitor = createCheckMonitor({
    env: options.env,
    log: options.log,
    maxRunning: options.maxRunningChecks ?? DEFAULT_MAX_RUNNING,
    createProbe: (kind, definition) => createProbe(kind, definition, settings),
    report,
    expired: (checkId) => report(checkId, critical(expiredTtlOutput(lastOutputs.get(checkId) ?? ''))),
  });

  const stopAlias = (checkId: string) => {
    aliases.get(checkId)?.();
    aliases.delete(checkId);
  };
  const startAlias = (checkId: string, definition: CheckDefinition) => {
    const { aliasNode, aliasService: serviceId } = definition;
    const target = { node: aliasNode || options.nodeName, serviceId, ownCheckId: checkId };
    const tell = (result: CheckResult) => report(checkId, result);
    const token = () => definition.token || (options.defaultToken?.() ?? '');
    const { env, backend, datacenter } = options;
    aliases.set(
      checkId,
      aliasNode === ''
        ? watchLocalAlias(env, target, view, tell)
        : watchRemoteAlias({ env, backend, target, datacenter, token }, tell),
    );
  };

  return {
    start(checkId, definition) {
      stopAlias(checkId);
      lastOutputs.delete(checkId);
      monitor.watch(checkId, definition);
      if (checkKind(definition) === 'alias') startAlias(checkId, definition);
    },
    stop(checkId) {
      stopAlias(checkId);
      lastOutputs.delete(checkId);
      monitor.unwatch(checkId);
    },
    hasTtl: monitor.hasTtl,
    renewTtl(checkId, output) {
      if (monitor.renewTtl(checkId)) lastOutputs.set(checkId, output);
    },
    counts: monitor.counts,
    close() {
      monitor.stop();
      for (const stop of aliases.values()) stop();
      aliases.clear();
    },
  };
}

function probeSettings(options: LocalAgentOptions): ProbeSettings {
  const { ca, cert, key } = options.checkTls ?? {};
  return {
    clock: options.env.clock,
    outputMaxSize: options.checkOutputMaxSize ?? DEFAULT_OUTPUT_MAX_BYTES,
    tls: { ca: typeof ca === 'string' || ca === undefined ? ca : [...ca], cert, key },
  };
}

function localView(state: LocalState): LocalView {
  return {
    *checksFor(serviceId): Iterable<HealthCheck> {
      const ids = serviceId === '' ? [] : state.checkIdsOf(serviceId);
      for (const id of [...state.checkIdsOf(''), ...ids]) {
        const check = state.checks().get(id);
        if (check !== undefined) yield check;
      }
    },
    hasService: (serviceId) => state.services().has(serviceId),
    onChange: (serviceId, changed) =>
      state.onChange((change) => {
        const concerned =
          change.kind === 'service-set' || change.kind === 'service-removed' ? change.id : change.serviceId;
        if (concerned === serviceId || concerned === '') changed();
      }),
  };
}
