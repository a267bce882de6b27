/** What anti-entropy writes to the log, in Consul's words. */

import { toConsulError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { Operation, Outcome } from './core.ts';

export function logOutcome(log: Logger, operation: Operation, outcome: Outcome, failure: unknown): void {
  if (outcome === 'done') logDone(log, operation);
  else if (outcome === 'given-up') logBlocked(log, operation);
  else
    log.error('failed to sync changes', { ...itemField(operation), error: toConsulError(failure).message });
}

function logDone(log: Logger, operation: Operation): void {
  switch (operation.kind) {
    case 'register-service':
      log.info('Synced service', { service: operation.service });
      for (const check of operation.checks) log.info('Synced check', { check });
      return;
    case 'register-check':
      log.info('Synced check', { check: operation.check });
      return;
    case 'deregister-service':
      log.info('Deregistered service', { service: operation.service });
      return;
    case 'deregister-check':
      log.info('Deregistered check', { check: operation.check });
      return;
    case 'update-node':
      log.info('Synced node info');
      return;
    default:
      operation satisfies never;
  }
}

function logBlocked(log: Logger, operation: Operation): void {
  switch (operation.kind) {
    case 'register-service':
      log.warn('Service registration blocked by ACLs', { service: operation.service });
      return;
    case 'register-check':
      log.warn('Check registration blocked by ACLs', { check: operation.check });
      return;
    case 'deregister-service':
      log.warn('Service deregistration blocked by ACLs', { service: operation.service });
      return;
    case 'deregister-check':
      log.warn('Check deregistration blocked by ACLs', { check: operation.check });
      return;
    case 'update-node':
      log.warn('Node info update blocked by ACLs');
      return;
    default:
      operation satisfies never;
  }
}

function itemField(operation: Operation): { readonly service?: string; readonly check?: string } {
  if (operation.kind === 'update-node') return {};
  if (operation.kind === 'register-service' || operation.kind === 'deregister-service')
    return { service: operation.service };
  return { check: operation.check };
}
