/** Anti-entropy's calls to the servers: what the catalog holds of this node, and changes to it. */

import type { Clock, Env } from '../../../shared/env.ts';
import { noClusterLeader } from '../../../shared/errors.ts';
import type { FloatingFence, HealthCheck, Node, Service } from '../../../shared/types/v1.ts';
import type { Backend, CallOptions, ReadOptions } from '../../rpc/backend.ts';
import {
  catalogDeregister,
  catalogNodeServices,
  catalogRegister,
  healthNodeChecks,
} from '../../rpc/endpoints.ts';
import type { LocalState } from '../local/local-state.ts';
import type { Inventory, Operation } from './core.ts';
import { deregisterRequest, type NodeEntry, registerRequest } from './messages.ts';
import { isSameNode } from './same.ts';

export interface CatalogRequestOptions {
  readonly env: Env;
  readonly backend: Backend;
  readonly state: LocalState;
  readonly node: () => NodeEntry;
  readonly agentToken: () => string;
  /** For items registered without a token. */
  readonly defaultToken: () => string;
}

export interface RemoteInventory extends Inventory {
  /** null: the catalog does not know the node. */
  readonly node: Node | null;
}

/** How old the answer may be that the full sync compares with. */
const FULL_SYNC_MAX_STALE_MS = 2_000;
/** A registration is answered after this long even when the servers keep silent. */
const REQUEST_TIMEOUT_MS = 30_000;

export class CatalogRequests {
  readonly #options: CatalogRequestOptions;

  constructor(options: CatalogRequestOptions) {
    this.#options = options;
  }

  /** @throws ConsulError */
  async inventory(): Promise<RemoteInventory> {
    const { backend, agentToken, defaultToken } = this.#options;
    const node = this.#options.node();
    const call = withTimeout(this.#options.env.clock, node.datacenter, agentToken() || defaultToken());
    const read: ReadOptions = { ...call.options, consistency: 'stale', maxStaleMs: FULL_SYNC_MAX_STALE_MS };
    const args = { node: node.nodeName, filter: '' };
    try {
      const [services, checks] = await Promise.all([
        backend.read(catalogNodeServices, args, read),
        backend.read(healthNodeChecks, args, read),
      ]);
      // Without a leader a server may not have caught up with anything yet.
      if (!services.meta.knownLeader || !checks.meta.knownLeader) throw noClusterLeader();
      return {
        node: services.value?.Node ?? null,
        services: new Map<string, Service>(Object.entries(services.value?.Services ?? {})),
        checks: new Map(checks.value.map((check) => [check.CheckID, check])),
      };
    } finally {
      call.release();
    }
  }

  isSameNode(held: Node | null): boolean {
    const { nodeId: id, taggedAddresses, nodeMeta: meta } = this.#options.node();
    return held !== null && isSameNode({ id, taggedAddresses, meta }, held);
  }

  /** Sends the items as they are now; one that is gone meanwhile is left out. @throws ConsulError */
  async send(operation: Operation, withNode: boolean): Promise<void> {
    const { backend, state, env } = this.#options;
    const node = this.#options.node();
    const call = withTimeout(env.clock, node.datacenter, this.#tokenOf(operation));
    try {
      switch (operation.kind) {
        case 'register-service': {
          const service = state.services().get(operation.service);
          const checks = this.#checks(operation.checks);
          if (service !== undefined)
            await backend.write(
              catalogRegister,
              registerRequest(node, service, checks, withNode, this.#fence(operation.service)),
              call.options,
            );
          return;
        }
        case 'register-check': {
          const checks = this.#checks([operation.check]);
          if (checks.length > 0)
            await backend.write(
              catalogRegister,
              registerRequest(node, undefined, checks, withNode, this.#fence(operation.service)),
              call.options,
            );
          return;
        }
        case 'update-node':
          await backend.write(catalogRegister, registerRequest(node, undefined, [], true), call.options);
          return;
        case 'deregister-service':
          await backend.write(
            catalogDeregister,
            deregisterRequest(node, operation.service, ''),
            call.options,
          );
          return;
        case 'deregister-check':
          await backend.write(catalogDeregister, deregisterRequest(node, '', operation.check), call.options);
          return;
        default:
          operation satisfies never;
      }
    } finally {
      call.release();
    }
  }

  #fence(serviceId: string): FloatingFence | undefined {
    const carriage = this.#options.state.service(serviceId)?.floating;
    return carriage === undefined ? undefined : { ServiceID: serviceId, Generation: carriage.generation };
  }

  #checks(ids: readonly string[]): HealthCheck[] {
    const checks = this.#options.state.checks();
    return ids.flatMap((id) => checks.get(id) ?? []);
  }

  #tokenOf(operation: Operation): string {
    const { state, agentToken, defaultToken } = this.#options;
    switch (operation.kind) {
      case 'register-service':
        return state.service(operation.service)?.token || defaultToken();
      case 'register-check':
        return state.check(operation.check)?.token || defaultToken();
      case 'deregister-service':
      case 'deregister-check':
      case 'update-node':
        return agentToken() || defaultToken();
      default:
        return operation satisfies never;
    }
  }
}

function withTimeout(
  clock: Clock,
  datacenter: string,
  token: string,
): { readonly options: CallOptions; readonly release: () => void } {
  const controller = new AbortController();
  const timer = clock.setTimer(REQUEST_TIMEOUT_MS, () => controller.abort(new Error('request timed out')));
  return { options: { datacenter, token, signal: controller.signal }, release: () => timer.cancel() };
}
