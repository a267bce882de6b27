/** Keeps an alias check up to date with the service or node that it stands for. */

import { type Env, sleep, type Timer } from '../../../shared/env.ts';
import type { HealthCheck } from '../../../shared/types/v1.ts';
import type { Backend, ReadOptions } from '../../rpc/backend.ts';
import { catalogNodeServices, healthNodeChecks } from '../../rpc/endpoints.ts';
import { type AliasTarget, aliasResult } from './alias.ts';
import { messageOf } from './go-errors.ts';
import { type CheckResult, critical } from './types.ts';

/** The agent's own services and checks, as an alias check needs to see them. */
export interface LocalView {
  /** Checks of this service and of the node. */
  checksFor(serviceId: string): Iterable<HealthCheck>;
  hasService(serviceId: string): boolean;
  /** Calls back after changes that may concern this service or the node. @returns a cancel function */
  onChange(serviceId: string, changed: () => void): () => void;
}

type Report = (result: CheckResult) => void;

const MAX_SILENCE_MS = 60_000;
const REMOTE_MAX_STALE_MS = 15_000;
/** Failures before waiting between attempts, and before they are reported. */
const PATIENT_ATTEMPTS = 3;
const REPORTED_ATTEMPTS = 2;
const MAX_BACKOFF_MS = 60_000;
/** Between two answers: gathers bursts, and keeps a server that does not block from being asked without end. */
const MIN_PAUSE_MS = 50;

/** Follows a service of this agent: at once when something changes, and once a minute in any case. @returns what stops it */
export function watchLocalAlias(env: Env, target: AliasTarget, view: LocalView, report: Report): () => void {
  let isStopped = false;
  let isScheduled = false;
  let timer: Timer | undefined;
  const update = () => {
    isScheduled = false;
    if (isStopped) return;
    timer?.cancel();
    timer = env.clock.setTimer(MAX_SILENCE_MS, update);
    report(aliasResult(target, view.checksFor(target.serviceId), view.hasService(target.serviceId)));
  };
  // Changes of one turn are looked at once, and never within the change that is being told.
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(update);
  };
  const cancel = view.onChange(target.serviceId, schedule);
  schedule();
  return () => {
    isStopped = true;
    cancel();
    timer?.cancel();
  };
}

export interface RemoteAliasOptions {
  readonly env: Env;
  readonly backend: Backend;
  readonly target: AliasTarget;
  readonly datacenter: string;
  readonly token: () => string;
}

/** Follows a service or node of the catalog by blocking queries. @returns what stops it */
export function watchRemoteAlias(options: RemoteAliasOptions, report: Report): () => void {
  const controller = new AbortController();
  void followRemote(options, controller.signal, report);
  return () => controller.abort();
}

async function followRemote(options: RemoteAliasOptions, signal: AbortSignal, report: Report): Promise<void> {
  let failures = 0;
  let index = 0;
  while (!signal.aborted) {
    try {
      if (failures > 0 || index > 0) await sleep(options.env.clock, backoffMs(failures), signal);
      const reply = await readChecks(options, index, signal);
      if (signal.aborted) return;
      failures = 0;
      index = Math.max(1, reply.index);
      report(reply.result);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      if (failures >= REPORTED_ATTEMPTS)
        report(critical(`Failure checking aliased node or service: ${messageOf(error)}`));
    }
  }
}

async function readChecks(
  options: RemoteAliasOptions,
  minIndex: number,
  signal: AbortSignal,
): Promise<{ readonly index: number; readonly result: CheckResult }> {
  const { backend, target, datacenter, token } = options;
  const args = { node: target.node, filter: '' };
  const read: ReadOptions = {
    datacenter,
    token: token(),
    signal,
    consistency: 'stale',
    maxStaleMs: REMOTE_MAX_STALE_MS,
  };
  const checks = await backend.read(healthNodeChecks, args, { ...read, minIndex, waitMs: MAX_SILENCE_MS });
  let exists = checks.value.some((check) => check.ServiceID === target.serviceId);
  if (!exists && target.serviceId !== '') {
    const services = await backend.read(catalogNodeServices, args, read);
    exists = services.value !== null && Object.hasOwn(services.value.Services, target.serviceId);
  }
  return { index: checks.meta.index, result: aliasResult(target, checks.value, exists) };
}

function backoffMs(failures: number): number {
  if (failures < PATIENT_ATTEMPTS) return failures === 0 ? MIN_PAUSE_MS : 1000;
  return Math.min(MAX_BACKOFF_MS, 1000 * 2 ** Math.min(failures - PATIENT_ATTEMPTS, 16));
}
