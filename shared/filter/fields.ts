/** What filter expressions may select, per kind of object, with the type that decides which operators apply. */

export type FieldType =
  | { readonly type: 'text' | 'bool' | 'int' | 'list' }
  | { readonly type: 'map'; readonly of: FieldType }
  /** One object, or a list of which any may match. */
  | { readonly type: 'object' | 'objects'; readonly fields: Fields };

export type Fields = Readonly<Record<string, FieldType>>;

export type FilterKind =
  | 'node'
  | 'service-node'
  | 'service'
  | 'check'
  | 'health-entry'
  | 'node-info'
  | 'agent-service'
  | 'agent-check';

const text: FieldType = { type: 'text' };
const bool: FieldType = { type: 'bool' };
const int: FieldType = { type: 'int' };
const list: FieldType = { type: 'list' };
const mapOf = (of: FieldType): FieldType => ({ type: 'map', of });
const object = (fields: Fields): FieldType => ({ type: 'object', fields });
const objects = (fields: Fields): FieldType => ({ type: 'objects', fields });

const address = object({ Address: text, Port: int });
const weights = object({ Passing: int, Warning: int });
const connect = object({ Native: bool });
const meshGateway = object({ Mode: text });

const proxy = object({
  DestinationServiceName: text,
  DestinationServiceID: text,
  LocalServiceAddress: text,
  LocalServicePort: int,
  Upstreams: objects({
    DestinationType: text,
    DestinationNamespace: text,
    DestinationName: text,
    Datacenter: text,
    LocalBindAddress: text,
    LocalBindPort: int,
    MeshGateway: meshGateway,
  }),
  MeshGateway: meshGateway,
  Expose: object({
    Checks: bool,
    Paths: objects({
      Path: text,
      ListenerPort: int,
      LocalPathPort: int,
      Protocol: text,
      ParsedFromCheck: bool,
    }),
  }),
});

const node: Fields = {
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: mapOf(text),
  Meta: mapOf(text),
};

const service: Fields = {
  Kind: text,
  ID: text,
  Service: text,
  Tags: list,
  Address: text,
  TaggedAddresses: mapOf(address),
  Meta: mapOf(text),
  Port: int,
  Weights: weights,
  EnableTagOverride: bool,
  Proxy: proxy,
  Connect: connect,
};

const check: Fields = {
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: list,
  Type: text,
};

export const FIELDS: Readonly<Record<FilterKind, Fields>> = {
  node,
  'service-node': {
    ID: text,
    Node: text,
    Address: text,
    Datacenter: text,
    TaggedAddresses: mapOf(text),
    NodeMeta: mapOf(text),
    ServiceKind: text,
    ServiceID: text,
    ServiceName: text,
    ServiceTags: list,
    ServiceAddress: text,
    ServiceTaggedAddresses: mapOf(address),
    ServiceMeta: mapOf(text),
    ServicePort: int,
    ServiceWeights: weights,
    ServiceEnableTagOverride: bool,
    ServiceProxy: proxy,
    ServiceConnect: connect,
  },
  service,
  check,
  'health-entry': { Node: object(node), Service: object(service), Checks: objects(check) },
  'node-info': {
    ID: text,
    Node: text,
    Address: text,
    TaggedAddresses: mapOf(text),
    Meta: mapOf(text),
    Services: objects(service),
    Checks: objects(check),
  },
  'agent-service': service,
  'agent-check': check,
};
