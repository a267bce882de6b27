/** The JSON of persisted services, checks and TTL states: Consul's own form, so that a data_dir of either can be read. */

import { NS_PER_MS } from '../../../shared/durations.ts';
import {
  type CheckDefinition,
  type DefinitionSource,
  EMPTY_CHECK_DEFINITION,
} from '../../../shared/types/definitions.ts';
import { EMPTY_PROXY, type HealthCheck, type ServiceProxy } from '../../../shared/types/v1.ts';
import type { CheckRecord, ServiceRecord } from './local-state.ts';

/** Status and output of a TTL check, good until `expiresAtS` (seconds since the epoch). */
export interface TtlState {
  readonly checkId: string;
  readonly output: string;
  readonly status: string;
  readonly expiresAtS: number;
}

/** The file is not what it should be. `message` says where. */
export class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

export function encodeService(record: ServiceRecord): string {
  return JSON.stringify({
    Token: record.token,
    Service: record.service,
    Source: sourceName(record.source),
    ...(record.isSidecar && { LocallyRegisteredAsSidecar: true }),
  });
}

/** @throws DamagedFileError */
export function decodeService(text: string): ServiceRecord {
  const root = parseObject(text);
  const service = field(root, 'Service', object);
  const kind = field(service, 'Kind', string, '');
  const tagged = field(service, 'TaggedAddresses', object, {});
  const meta = field(service, 'Meta', stringMap, {});
  const weights = field(service, 'Weights', object, { Passing: 1, Warning: 1 });
  const isNative = field(field(service, 'Connect', object, {}), 'Native', boolean, false);
  const id = field(service, 'ID', string);
  if (id === '') throw new DamagedFileError('Service.ID is empty');
  return {
    service: {
      ...(kind !== '' && { Kind: kind }),
      ID: id,
      Service: field(service, 'Service', string),
      Tags: field(service, 'Tags', stringList, []),
      Address: field(service, 'Address', string, ''),
      ...(Object.keys(tagged).length > 0 && { TaggedAddresses: mapValues(tagged, address) }),
      Meta: Object.keys(meta).length > 0 ? meta : null,
      Port: field(service, 'Port', integer, 0),
      Weights: {
        Passing: field(weights, 'Passing', integer, 1),
        Warning: field(weights, 'Warning', integer, 1),
      },
      EnableTagOverride: field(service, 'EnableTagOverride', boolean, false),
      Proxy: proxy(field(service, 'Proxy', object, {})),
      Connect: isNative ? { Native: true } : {},
      CreateIndex: 0,
      ModifyIndex: 0,
    },
    token: field(root, 'Token', string, ''),
    source: source(root),
    isSidecar: field(root, 'LocallyRegisteredAsSidecar', boolean, false),
  };
}

export function encodeCheck(record: CheckRecord): string {
  return JSON.stringify({
    Check: record.check,
    ChkType: record.definition === undefined ? null : toCheckType(record.definition),
    Token: record.token,
    Source: sourceName(record.source),
  });
}

/** @throws DamagedFileError */
export function decodeCheck(text: string): CheckRecord {
  const root = parseObject(text);
  const check = field(root, 'Check', object);
  const id = field(check, 'CheckID', string);
  if (id === '') throw new DamagedFileError('Check.CheckID is empty');
  const decoded: HealthCheck = {
    Node: field(check, 'Node', string, ''),
    CheckID: id,
    Name: field(check, 'Name', string, ''),
    Status: field(check, 'Status', string, 'critical'),
    Notes: field(check, 'Notes', string, ''),
    Output: field(check, 'Output', string, ''),
    ServiceID: field(check, 'ServiceID', string, ''),
    ServiceName: field(check, 'ServiceName', string, ''),
    ServiceTags: field(check, 'ServiceTags', stringList, []),
    Type: field(check, 'Type', string, ''),
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
  const type = field(root, 'ChkType', object, undefined);
  const token = field(root, 'Token', string, '');
  return {
    check: decoded,
    definition: type === undefined ? undefined : fromCheckType(type, decoded, token),
    token,
    source: source(root),
    criticalSinceMs: undefined,
  };
}

export function encodeTtlState(state: TtlState): string {
  const { checkId: CheckID, output: Output, status: Status, expiresAtS: Expires } = state;
  return JSON.stringify({ CheckID, Output, Status, Expires });
}

/** @throws DamagedFileError */
export function decodeTtlState(text: string): TtlState {
  const root = parseObject(text);
  return {
    checkId: field(root, 'CheckID', string),
    output: field(root, 'Output', string, ''),
    status: field(root, 'Status', string),
    expiresAtS: field(root, 'Expires', integer),
  };
}

function toCheckType(definition: CheckDefinition): Record<string, unknown> {
  return {
    CheckID: definition.id,
    Name: definition.name,
    Status: definition.status,
    Notes: definition.notes,
    ScriptArgs: definition.scriptArgs,
    HTTP: definition.http,
    Header: definition.header,
    Method: definition.method,
    Body: definition.body,
    TCP: definition.tcp,
    UDP: definition.udp,
    Interval: toNs(definition.intervalMs),
    AliasNode: definition.aliasNode,
    AliasService: definition.aliasService,
    DockerContainerID: definition.dockerContainerId,
    Shell: definition.shell,
    GRPC: definition.grpc,
    GRPCUseTLS: definition.grpcUseTls,
    H2PING: definition.h2ping,
    H2PingUseTLS: definition.h2pingUseTls,
    TLSServerName: definition.tlsServerName,
    TLSSkipVerify: definition.tlsSkipVerify,
    Timeout: toNs(definition.timeoutMs),
    TTL: toNs(definition.ttlMs),
    SuccessBeforePassing: definition.successBeforePassing,
    FailuresBeforeCritical: definition.failuresBeforeCritical,
    DeregisterCriticalServiceAfter: toNs(definition.deregisterCriticalServiceAfterMs),
    OutputMaxSize: definition.outputMaxSize,
  };
}

function fromCheckType(type: Fields, check: HealthCheck, token: string): CheckDefinition {
  const text = (name: string) => field(type, name, string, '');
  const ms = (name: string) => field(type, name, number, 0) / NS_PER_MS;
  return {
    ...EMPTY_CHECK_DEFINITION,
    id: check.CheckID,
    name: check.Name,
    notes: check.Notes,
    serviceId: check.ServiceID,
    token,
    status: text('Status'),
    scriptArgs: field(type, 'ScriptArgs', stringList, []),
    http: text('HTTP'),
    method: text('Method'),
    header: mapValues(field(type, 'Header', object, {}), stringList),
    body: text('Body'),
    tcp: text('TCP'),
    udp: text('UDP'),
    grpc: text('GRPC'),
    grpcUseTls: field(type, 'GRPCUseTLS', boolean, false),
    h2ping: text('H2PING'),
    h2pingUseTls: field(type, 'H2PingUseTLS', boolean, true),
    tlsSkipVerify: field(type, 'TLSSkipVerify', boolean, false),
    tlsServerName: text('TLSServerName'),
    dockerContainerId: text('DockerContainerID'),
    shell: text('Shell'),
    aliasNode: text('AliasNode'),
    aliasService: text('AliasService'),
    ttlMs: ms('TTL'),
    intervalMs: ms('Interval'),
    timeoutMs: ms('Timeout'),
    deregisterCriticalServiceAfterMs: ms('DeregisterCriticalServiceAfter'),
    successBeforePassing: field(type, 'SuccessBeforePassing', integer, 0),
    failuresBeforeCritical: field(type, 'FailuresBeforeCritical', integer, 0),
    outputMaxSize: field(type, 'OutputMaxSize', integer, 0),
  };
}

/** Mesh fields are kept as given; only the two that must be there are added. */
function proxy(fields: Fields): ServiceProxy {
  return { ...fields, ...EMPTY_PROXY, ...pickObject(fields, 'MeshGateway'), ...pickObject(fields, 'Expose') };
}

function pickObject(fields: Fields, name: 'MeshGateway' | 'Expose'): Partial<ServiceProxy> {
  const value = fields[name];
  return isObject(value) ? { [name]: value } : {};
}

function toNs(ms: number): number {
  return Math.round(ms * NS_PER_MS);
}

function sourceName(origin: DefinitionSource): string {
  return origin === 'file' ? 'local' : 'remote';
}

function source(root: Fields): DefinitionSource {
  return field(root, 'Source', string, 'remote') === 'local' ? 'file' : 'api';
}

type Fields = Readonly<Record<string, unknown>>;

/** Checks a value that came from a file; throws `DamagedFileError` naming the place. */
type Shape<T> = (value: unknown, place: string) => T;

function parseObject(text: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new DamagedFileError(error instanceof Error ? error.message : String(error));
  }
  return object(parsed, 'the file');
}

/** A missing or null field is `missing`, or an error when there is no such default. */
function field<T>(fields: Fields, name: string, shape: Shape<T>, ...missing: [T?] | []): T;
function field<T>(fields: Fields, name: string, shape: Shape<T>, missing: undefined): T | undefined;
function field<T>(fields: Fields, name: string, shape: Shape<T>, ...missing: [T?]): T | undefined {
  const value = fields[name];
  if (value !== undefined && value !== null) return shape(value, name);
  if (missing.length === 0) throw new DamagedFileError(`${name} is missing`);
  return missing[0];
}

const object: Shape<Fields> = (value, place) => {
  if (isObject(value)) return value;
  throw new DamagedFileError(`${place} is not an object`);
};
const string: Shape<string> = (value, place) => {
  if (typeof value === 'string') return value;
  throw new DamagedFileError(`${place} is not a string`);
};
const boolean: Shape<boolean> = (value, place) => {
  if (typeof value === 'boolean') return value;
  throw new DamagedFileError(`${place} is not a boolean`);
};
const number: Shape<number> = (value, place) => {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new DamagedFileError(`${place} is not a number`);
};
const integer: Shape<number> = (value, place) => {
  if (Number.isSafeInteger(value)) return number(value, place);
  throw new DamagedFileError(`${place} is not an integer`);
};
const stringList: Shape<string[]> = (value, place) => {
  if (Array.isArray(value)) return value.map((item) => string(item, place));
  throw new DamagedFileError(`${place} is not a list`);
};
const stringMap: Shape<Record<string, string>> = (value, place) => mapValues(object(value, place), string);
const address: Shape<{ Address: string; Port: number }> = (value, place) => {
  const fields = object(value, place);
  return { Address: field(fields, 'Address', string, ''), Port: field(fields, 'Port', integer, 0) };
};

function mapValues<T>(fields: Fields, shape: Shape<T>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, shape(value, key)]));
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
