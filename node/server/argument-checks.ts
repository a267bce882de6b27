/**
 * Shapes of the arguments of writes that come over the network: what reaches the log must be what the state machine
 * expects, whoever sent it. Values are checked by the handlers; here only kinds.
 */

import { badRequest } from '../../shared/errors.ts';
import { configEntryApply } from '../rpc/config-endpoints.ts';
import {
  catalogDeregister,
  catalogRegister,
  coordinateUpdate,
  kvApply,
  sessionCreate,
  sessionDestroy,
} from '../rpc/endpoints.ts';
import {
  floatingAssign,
  floatingChecks,
  floatingDeregister,
  floatingRegister,
} from '../rpc/floating-endpoints.ts';
import { operatorAutopilotSet } from '../rpc/operator-endpoints.ts';
import { preparedQueryApply } from '../rpc/query-endpoints.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

const text: Check = (value) => typeof value === 'string';
const amount: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const flag: Check = (value) => typeof value === 'boolean';
const bytes: Check = (value) => value instanceof Uint8Array;
const uint64: Check = (value) =>
  (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) ||
  (typeof value === 'bigint' && value >= 0n && value < 2n ** 64n);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const nullable =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const mapOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);
const object =
  (shape: Shape): Check =>
  (value) =>
    isObject(value) && Object.entries(shape).every(([field, check]) => check(value[field]));
const plain: Check = isObject;

const SERVICE = object({
  ID: text,
  Service: text,
  Tags: nullable(listOf(text)),
  Address: text,
  TaggedAddresses: optional(mapOf(object({ Address: text, Port: amount }))),
  Meta: nullable(mapOf(text)),
  Port: amount,
  Weights: object({ Passing: amount, Warning: amount }),
  EnableTagOverride: flag,
  Proxy: plain,
  Connect: plain,
});

const CHECK = object({
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: nullable(listOf(text)),
  Type: text,
  Definition: plain,
});

const FLOATING_CHECK = object({ check: CHECK, definition: nullable(plain) });

const NODE_REGISTRATION = object({
  Datacenter: text,
  ID: text,
  Node: text,
  Address: text,
  TaggedAddresses: nullable(mapOf(text)),
  NodeMeta: nullable(mapOf(text)),
  SkipNodeUpdate: flag,
});

const NODE = object({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: nullable(mapOf(text)),
  Meta: nullable(mapOf(text)),
});

const decimal: Check = (value) => typeof value === 'string' && /^(?:0|[1-9]\d{0,19})$/.test(value);
const is =
  (wanted: string): Check =>
  (value) =>
    value === wanted;

const TXN_OPS: readonly Check[] = [
  object({
    kind: is('kv'),
    verb: text,
    key: text,
    value: nullable(bytes),
    flags: uint64,
    index: decimal,
    session: text,
  }),
  object({ kind: is('node'), verb: text, node: NODE, index: decimal }),
  object({ kind: is('service'), verb: text, node: text, service: SERVICE, index: decimal }),
  object({ kind: is('check'), verb: text, check: CHECK, index: decimal }),
];

const QUERY = object({
  ID: text,
  Name: text,
  Session: text,
  Token: text,
  Template: object({ Type: text, Regexp: text, RemoveEmptyTags: flag }),
  Service: object({
    Service: text,
    Failover: object({ NearestN: amount, Datacenters: nullable(listOf(text)) }),
    OnlyPassing: flag,
    IgnoreCheckIDs: nullable(listOf(text)),
    Near: text,
    Tags: nullable(listOf(text)),
    NodeMeta: nullable(mapOf(text)),
    ServiceMeta: nullable(mapOf(text)),
    Connect: flag,
  }),
  DNS: object({ TTL: text }),
});

const QUERY_CHANGES: readonly Check[] = [
  object({ op: is('create'), query: QUERY }),
  object({ op: is('update'), query: QUERY }),
  object({ op: is('delete'), id: text }),
];

const CONFIG_ENTRY_CHANGES: readonly Check[] = [
  object({ op: is('upsert'), entry: object({ Kind: text, Name: text }) }),
  object({ op: is('cas'), entry: object({ Kind: text, Name: text }), index: uint64 }),
  object({ op: is('delete'), kind: text, name: text }),
];

const SHAPES: ReadonlyMap<string, Check> = new Map([
  [
    catalogRegister.name,
    object({
      Datacenter: text,
      ID: text,
      Node: text,
      Address: text,
      TaggedAddresses: nullable(mapOf(text)),
      NodeMeta: nullable(mapOf(text)),
      Service: nullable(SERVICE),
      Check: nullable(CHECK),
      Checks: nullable(listOf(CHECK)),
      SkipNodeUpdate: flag,
      Floating: optional(object({ ServiceID: text, Generation: amount })),
      UnlessFloating: optional(flag),
    }),
  ],
  [
    catalogDeregister.name,
    object({ Datacenter: text, Node: text, ServiceID: text, CheckID: text, KeepFloating: optional(flag) }),
  ],
  [
    floatingRegister.name,
    object({
      node: NODE_REGISTRATION,
      parts: listOf(
        object({ service: SERVICE, token: text, isSidecar: flag, checks: listOf(FLOATING_CHECK) }),
      ),
      replaceChecks: flag,
    }),
  ],
  [floatingChecks.name, object({ id: text, node: text, set: listOf(FLOATING_CHECK), remove: listOf(text) })],
  [floatingAssign.name, object({ moves: listOf(object({ id: text, generation: amount, node: text })) })],
  [floatingDeregister.name, object({ id: text, generation: amount, release: flag })],
  [
    kvApply.name,
    object({ verb: text, key: text, value: bytes, flags: uint64, index: uint64, session: text }),
  ],
  [
    sessionCreate.name,
    object({
      name: text,
      node: text,
      lockDelayNs: amount,
      behavior: text,
      ttl: text,
      nodeChecks: nullable(listOf(text)),
      serviceChecks: nullable(listOf(object({ ID: text, Namespace: text }))),
      checks: optional(listOf(text)),
    }),
  ],
  [sessionDestroy.name, object({ id: text })],
  [preparedQueryApply.name, (args) => QUERY_CHANGES.some((check) => check(args))],
  [configEntryApply.name, (args) => CONFIG_ENTRY_CHANGES.some((check) => check(args))],
  [txnApply.name, object({ ops: listOf((op) => TXN_OPS.some((check) => check(op))) })],
  [
    operatorAutopilotSet.name,
    object({
      settings: object({
        CleanupDeadServers: flag,
        LastContactThreshold: amount,
        MaxTrailingLogs: amount,
        MinQuorum: amount,
        ServerStabilizationTime: amount,
        RedundancyZoneTag: text,
        DisableUpgradeMigration: flag,
        UpgradeVersionTag: text,
      }),
      cas: optional(uint64),
    }),
  ],
  [
    coordinateUpdate.name,
    object({
      node: text,
      coordinate: object({ Vec: listOf(amount), Error: amount, Adjustment: amount, Height: amount }),
    }),
  ],
]);

/** @throws ConsulError 400 when the arguments of a known write have another shape; unknown names pass */
export function checkWriteArguments(name: string, args: unknown): void {
  const check = SHAPES.get(name);
  if (check !== undefined && !check(args)) throw badRequest(`malformed arguments for ${name}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
