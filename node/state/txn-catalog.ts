/** The operations of a transaction on nodes, services and checks. */

import { checkAsStored, serviceAsStored } from '../../shared/types/as-stored.ts';
import type { TxnCheckOp, TxnNodeOp, TxnResult, TxnServiceOp } from '../../shared/types/txn.ts';
import type { RegisterRequest } from '../../shared/types/v1.ts';
import { compoundKey, nameKey } from './byte-text.ts';
import { deleteNode, deleteService, ensureNode, ensureService, quoted } from './catalog-writes.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import { deleteCheck, ensureCheck } from './checks.ts';
import type { Tables } from './tables.ts';

type CatalogOp = TxnNodeOp | TxnServiceOp | TxnCheckOp;

/** What the verbs mean for one kind of object. */
interface Target {
  /** As texts name it: `node "n"`. */
  readonly name: string;
  /** The object now, as the result shows it. */
  found(): TxnResult | undefined;
  /** For cas: found by name, even where `found` goes by ID. */
  modifyIndex(): number | undefined;
  ensure(change: Change): void;
  remove(change: Change): void;
}

/** undefined: the verb is none that reads. @throws Refusal */
export function readCatalogOp(tables: Tables, op: CatalogOp): readonly TxnResult[] | undefined {
  return op.verb === 'get' ? existing(targetOf(tables, op)) : undefined;
}

/** undefined: the verb is none that writes. @throws Refusal */
export function applyCatalogOp(change: Change, op: CatalogOp): readonly TxnResult[] | undefined {
  const target = targetOf(change.tables, op);
  switch (op.verb) {
    case 'set':
      target.ensure(change);
      return existing(target);
    case 'cas':
      if (String(target.modifyIndex() ?? 0) !== op.index) stale('set', target);
      target.ensure(change);
      return existing(target);
    case 'delete':
      target.remove(change);
      return [];
    case 'delete-cas':
      // Unlike with keys, what is missing has not been deleted by this.
      if (String(target.modifyIndex() ?? -1) !== op.index) stale('delete', target);
      target.remove(change);
      return [];
    default:
      return undefined;
  }
}

function existing(target: Target): readonly TxnResult[] {
  const found = target.found();
  if (found === undefined) throw new Refusal(`${target.name} doesn't exist`);
  return [found];
}

function stale(action: 'set' | 'delete', target: Target): never {
  throw new Refusal(`failed to ${action} ${target.name}, index is stale`);
}

function targetOf(tables: Tables, op: CatalogOp): Target {
  switch (op.kind) {
    case 'node':
      return nodeTarget(tables, op);
    case 'service':
      return serviceTarget(tables, op);
    case 'check':
      return checkTarget(tables, op);
    default:
      return op satisfies never;
  }
}

function nodeTarget(tables: Tables, { node }: TxnNodeOp): Target {
  const key = nameKey(node.Node);
  return {
    name: `node ${quoted(node.Node)}`,
    found: () => {
      const record = node.ID === '' ? tables.nodes.get(key) : tables.nodesById.get(node.ID.toLowerCase());
      return record === undefined ? undefined : { Node: record.node };
    },
    modifyIndex: () => tables.nodes.get(key)?.node.ModifyIndex,
    ensure: (change) => ensureNode(change, nodeRequest(node)),
    remove: (change) => deleteNode(change, key),
  };
}

function nodeRequest(node: TxnNodeOp['node']): RegisterRequest {
  return {
    Datacenter: node.Datacenter,
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    Service: null,
    Check: null,
    Checks: null,
    SkipNodeUpdate: false,
  };
}

function serviceTarget(tables: Tables, { node, service }: TxnServiceOp): Target {
  const nodeKey = nameKey(node);
  const found = () => tables.instances.get(compoundKey(nodeKey, nameKey(service.ID)))?.service;
  return {
    name: `service ${quoted(service.ID)} on node ${quoted(node)}`,
    found: () => {
      const record = found();
      return record === undefined ? undefined : { Service: serviceAsStored(record) };
    },
    modifyIndex: () => found()?.ModifyIndex,
    ensure: (change) => ensureService(change, node, service),
    remove: (change) => deleteService(change, nodeKey, service.ID),
  };
}

function checkTarget(tables: Tables, { check }: TxnCheckOp): Target {
  const nodeKey = nameKey(check.Node);
  const found = () => tables.checks.get(compoundKey(nodeKey, nameKey(check.CheckID)));
  return {
    name: `check ${quoted(check.CheckID)} on node ${quoted(check.Node)}`,
    found: () => {
      const record = found();
      return record === undefined ? undefined : { Check: checkAsStored(record) };
    },
    modifyIndex: () => found()?.ModifyIndex,
    ensure: (change) => ensureCheck(change, check),
    remove: (change) => deleteCheck(change, nodeKey, check.CheckID),
  };
}
