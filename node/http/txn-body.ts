/** The body of a transaction, in the shape that the servers take. */

import { formatDurationNs } from '../../shared/durations.ts';
import type { TxnCheckOp, TxnNodeOp, TxnOp, TxnServiceOp } from '../../shared/types/txn.ts';
import { isTxnWrite } from '../../shared/types/txn.ts';
import type { CheckDefinition } from '../../shared/types/v1.ts';
import { EMPTY_PROXY } from '../../shared/types/v1.ts';
import {
  anything,
  bool,
  bytes,
  type Decoded,
  durationAsNs,
  ignored,
  int,
  listOf,
  mapOf,
  optional,
  struct,
  text,
  uint64,
} from './go-json.ts';

const kvBody = struct({
  Verb: text,
  Namespace: ignored,
  Key: text,
  Value: bytes,
  Flags: uint64,
  Index: uint64,
  Session: text,
});

const nodeBody = struct({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: mapOf(text),
  Meta: mapOf(text),
  CreateIndex: uint64,
  ModifyIndex: uint64,
});

const serviceBody = struct({
  Kind: ignored,
  ID: text,
  Service: text,
  Tags: listOf(text),
  Meta: mapOf(text),
  Port: int,
  Address: text,
  TaggedAddresses: ignored,
  Weights: struct({ Passing: int, Warning: int }),
  EnableTagOverride: bool,
  CreateIndex: uint64,
  ModifyIndex: uint64,
  ContentHash: ignored,
  Proxy: anything,
  Connect: anything,
  Namespace: ignored,
});

const definitionBody = struct(
  {
    HTTP: text,
    Header: mapOf(listOf(text)),
    Method: text,
    Body: text,
    TLSSkipVerify: bool,
    TCP: text,
    Interval: durationAsNs,
    IntervalDuration: durationAsNs,
    Timeout: durationAsNs,
    TimeoutDuration: durationAsNs,
    DeregisterCriticalServiceAfter: durationAsNs,
    DeregisterCriticalServiceAfterDuration: durationAsNs,
  },
  { ignoreUnknown: true, isCustom: true },
);

const checkBody = struct({
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: listOf(text),
  Type: ignored,
  Namespace: ignored,
  Definition: definitionBody,
  CreateIndex: uint64,
  ModifyIndex: uint64,
});

const opBody = struct({
  KV: optional(kvBody),
  Node: optional(struct({ Verb: text, Node: nodeBody })),
  Service: optional(struct({ Verb: text, Node: text, Service: serviceBody })),
  Check: optional(struct({ Verb: text, Check: checkBody })),
});

export const txnBody = listOf(opBody);

type OpBody = Decoded<typeof opBody>;

/** The first kind that is there counts; undefined: none is, and the operation is none. */
export function toTxnOp({ KV, Node, Service, Check }: OpBody): TxnOp | undefined {
  if (KV !== undefined) {
    const verb = { kind: 'kv', verb: KV.Verb } as const;
    const rest = { key: KV.Key, index: String(KV.Index), session: KV.Session };
    const isWrite = isTxnWrite(verb);
    return { ...verb, ...rest, value: isWrite ? KV.Value : null, flags: isWrite ? KV.Flags : 0 };
  }
  if (Node !== undefined) return toNodeOp(Node.Verb, Node.Node);
  if (Service !== undefined) return toServiceOp(Service.Verb, Service.Node, Service.Service);
  return Check === undefined ? undefined : toCheckOp(Check.Verb, Check.Check);
}

function toNodeOp(verb: string, body: Decoded<typeof nodeBody>): TxnNodeOp {
  return {
    kind: 'node',
    verb,
    node: {
      ID: body.ID,
      Node: body.Node,
      Address: body.Address,
      Datacenter: body.Datacenter,
      TaggedAddresses: body.TaggedAddresses,
      Meta: body.Meta,
    },
    index: String(body.ModifyIndex),
  };
}

/** Kind, tagged addresses, proxy and mesh fields are accepted and dropped, as in Consul. */
function toServiceOp(verb: string, node: string, body: Decoded<typeof serviceBody>): TxnServiceOp {
  return {
    kind: 'service',
    verb,
    node,
    service: {
      ID: body.ID,
      Service: body.Service,
      Tags: body.Tags,
      Address: body.Address,
      Meta: body.Meta,
      Port: body.Port,
      Weights: body.Weights,
      EnableTagOverride: body.EnableTagOverride,
      Proxy: EMPTY_PROXY,
      Connect: {},
    },
    index: String(body.ModifyIndex),
  };
}

function toCheckOp(verb: string, body: Decoded<typeof checkBody>): TxnCheckOp {
  return {
    kind: 'check',
    verb,
    check: {
      Node: body.Node,
      CheckID: body.CheckID,
      Name: body.Name,
      Status: body.Status,
      Notes: body.Notes,
      Output: body.Output,
      ServiceID: body.ServiceID,
      ServiceName: body.ServiceName,
      ServiceTags: body.ServiceTags,
      Type: '',
      Definition: toDefinition(body.Definition),
    },
    index: String(body.ModifyIndex),
  };
}

/** Each duration has two spellings; the longer one wins. */
function toDefinition(body: Decoded<typeof definitionBody>): CheckDefinition {
  const interval = body.IntervalDuration || body.Interval;
  const timeout = body.TimeoutDuration || body.Timeout;
  const deregister = body.DeregisterCriticalServiceAfterDuration || body.DeregisterCriticalServiceAfter;
  const header = Object.entries(body.Header ?? {}).map(([name, values]) => [name, values ?? []] as const);
  return {
    ...(interval !== 0 && { Interval: formatDurationNs(interval) }),
    ...(timeout !== 0 && { Timeout: formatDurationNs(timeout) }),
    ...(deregister !== 0 && { DeregisterCriticalServiceAfter: formatDurationNs(deregister) }),
    ...(body.HTTP !== '' && { HTTP: body.HTTP }),
    ...(body.TLSSkipVerify && { TLSSkipVerify: true }),
    ...(header.length > 0 && { Header: Object.fromEntries(header) }),
    ...(body.Method !== '' && { Method: body.Method }),
    ...(body.Body !== '' && { Body: body.Body }),
    ...(body.TCP !== '' && { TCP: body.TCP }),
  };
}
