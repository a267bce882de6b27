/** `Catalog.*`: nodes, services and their registration. */

import { refused } from '../../../shared/errors.ts';
import { applyFilter } from '../../../shared/filter/apply.ts';
import type { RegisterRequest, Service } from '../../../shared/types/v1.ts';
import {
  catalogDeregister,
  catalogListDatacenters,
  catalogListNodes,
  catalogListServices,
  catalogNodeServiceList,
  catalogNodeServices,
  catalogRegister,
  catalogServiceNodes,
} from '../../rpc/endpoints.ts';
import { listNodes, listServices, nodeServices, serviceNodes } from '../../state/catalog-queries.ts';
import { topic } from '../../state/topics.ts';
import type { ReadHandler } from '../handlers.ts';
import { checkTypeOf } from './check-type.ts';
import { alwaysTrue, narrowed, readFromTables, writeByCommand } from './define.ts';

export const listNodesHandler = readFromTables(catalogListNodes, (tables, args) =>
  narrowed(tables, listNodes(tables, args.nodeMeta), 'node', args, (node) => node.Node),
);

export const listServicesHandler = readFromTables(catalogListServices, (tables, args) =>
  listServices(tables, args.nodeMeta),
);

export const serviceNodesHandler = readFromTables(catalogServiceNodes, (tables, args) => {
  const answer = serviceNodes(tables, args.service, args.kind, args.tags, args.nodeMeta);
  return narrowed(tables, answer, 'service-node', args, (instance) => instance.Node);
});

export const nodeServicesHandler = readFromTables(catalogNodeServices, (tables, args) => {
  const answer = nodeServices(tables, args.node);
  const found = answer.value;
  const services = filtered(args.filter, found?.Services ?? []);
  if (found === null) return { ...answer, value: null };
  const byId = Object.fromEntries(services.map((service): [string, Service] => [service.ID, service]));
  return { ...answer, value: { Node: found.Node, Services: byId } };
});

/** Consul shows null, not an empty list, when the node has no services at all. */
export const nodeServiceListHandler = readFromTables(catalogNodeServiceList, (tables, args) => {
  const answer = nodeServices(tables, args.node);
  const found = answer.value;
  const services = filtered(args.filter, found?.Services ?? []);
  if (found === null) return { ...answer, value: { Node: null, Services: null } };
  return { ...answer, value: { Node: found.Node, Services: found.Services.length === 0 ? null : services } };
});

/** Only the own one is known here; who knows of others answers instead of this. */
export const listDatacentersHandler: ReadHandler<Readonly<Record<never, never>>, string[]> = {
  endpoint: catalogListDatacenters,
  query: (_store, _args, context) => ({ value: [context.datacenter], index: 1, topics: [topic.nodes] }),
};

export const registerHandler = writeByCommand(
  catalogRegister,
  (args, context) => ({
    type: 'register',
    request: registration(args, context.datacenter),
    nowMs: context.env.clock.nowMs(),
  }),
  alwaysTrue,
);

export const deregisterHandler = writeByCommand(
  catalogDeregister,
  (args, context) => {
    if (!args.Node) throw refused('Must provide node');
    return {
      type: 'deregister',
      request: {
        Node: args.Node,
        ServiceID: args.ServiceID ?? '',
        CheckID: args.CheckID ?? '',
        ...(args.KeepFloating === true && { KeepFloating: true }),
      },
      nowMs: context.env.clock.nowMs(),
    };
  },
  alwaysTrue,
);

/** A bad filter is refused even when there is nothing to apply it to. */
function filtered(filter: string, services: Service[]): Service[] {
  return filter === '' ? services : applyFilter('service', filter, services);
}

/** The request with Consul's defaults filled in. @throws ConsulError in Consul's words and order */
function registration(args: RegisterRequest, datacenter: string): RegisterRequest {
  if (!args.Node) throw refused('Must provide node');
  if (!args.Address && !args.SkipNodeUpdate) {
    throw refused('Must provide address if SkipNodeUpdate is not set');
  }
  if (args.ID) checkNodeId(args.ID);
  const checks = [...(args.Checks ?? []), ...(args.Check ? [args.Check] : [])];
  return {
    Datacenter: args.Datacenter || datacenter,
    ID: args.ID ?? '',
    Node: args.Node,
    Address: args.Address ?? '',
    TaggedAddresses: args.TaggedAddresses ?? null,
    NodeMeta: args.NodeMeta ?? null,
    Service: args.Service ? namedService(args.Service) : null,
    Check: null,
    Checks: checks.map((check) => ({
      ...check,
      Node: check.Node || args.Node,
      CheckID: check.CheckID || check.Name,
      Type: check.Type || checkTypeOf(check.Definition ?? {}),
    })),
    SkipNodeUpdate: args.SkipNodeUpdate ?? false,
    ...(args.Floating !== undefined && { Floating: args.Floating }),
    ...(args.UnlessFloating === true && { UnlessFloating: true }),
  };
}

type ServiceRegistration = NonNullable<RegisterRequest['Service']>;

/** The service with its ID defaulted. @throws ConsulError when it has no name or an address that is none */
export function namedService(service: ServiceRegistration): ServiceRegistration {
  const name = service.Service ?? '';
  const id = service.ID || name;
  if (id !== '' && name === '') throw refused('Must provide service name with ID');
  if (isAnyAddress(service.Address ?? '')) throw refused('Invalid service address');
  return { ...service, ID: id, Service: name };
}

/** What can be listened on but not connected to. */
function isAnyAddress(address: string): boolean {
  return /^0\.0\.0\.0$/.test(address) || /^\[?(?:::|(?:0{1,4}:){7}0{1,4})\]?$/.test(address);
}

/** @throws ConsulError when it is no UUID */
export function checkNodeId(id: string): void {
  const problem = uuidProblem(id);
  if (problem !== undefined) throw refused(`Bad node ID: ${problem}`);
}

function uuidProblem(id: string): string | undefined {
  if (id.length !== 36) return 'uuid string is wrong length';
  if (!/^.{8}-.{4}-.{4}-.{4}-.{12}$/.test(id)) return 'uuid is improperly formatted';
  const bad = /[^0-9a-fA-F]/u.exec(id.replaceAll('-', ''))?.[0];
  return bad === undefined ? undefined : `encoding/hex: invalid byte: ${runeText(bad)}`;
}

/** Go's %#U: `U+007A 'z'`. */
function runeText(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `U+${code} '${character}'`;
}
