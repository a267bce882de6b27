/** The fields of each kind of configuration entry, in wire order, with what is left out when it is empty. */

import type { ConfigEntryKind } from '../../shared/types/config-entry.ts';

export type ScalarKind = 'text' | 'bool' | 'int' | 'float' | 'duration';

export type Shape =
  | { readonly is: ScalarKind | 'anything'; readonly omits: boolean }
  | { readonly is: 'list' | 'map'; readonly of: Shape; readonly omits: boolean }
  /** With `omits` it is absent when it was not given, however empty what was given is. */
  | { readonly is: 'struct'; readonly fields: Shapes; readonly omits: boolean };

export type Shapes = Readonly<Record<string, Shape>>;

const always = (is: ScalarKind | 'anything'): Shape => ({ is, omits: false });
const filled = (is: ScalarKind): Shape => ({ is, omits: true });
const struct = (fields: Shapes, omits = false): Shape => ({ is: 'struct', fields, omits });
const listOf = (of: Shape, omits = false): Shape => ({ is: 'list', of, omits });
const mapOf = (of: Shape, omits = false): Shape => ({ is: 'map', of, omits });

const texts = listOf(always('text'), true);
const meshGateway = struct({ Mode: filled('text') });
const expose = struct({
  Checks: filled('bool'),
  Paths: listOf(
    struct({
      ListenerPort: filled('int'),
      Path: filled('text'),
      LocalPathPort: filled('int'),
      Protocol: filled('text'),
      ParsedFromCheck: filled('bool'),
    }),
    true,
  ),
});

const httpMatch = struct(
  {
    PathExact: filled('text'),
    PathPrefix: filled('text'),
    PathRegex: filled('text'),
    Header: listOf(
      struct({
        Name: always('text'),
        Present: filled('bool'),
        Exact: filled('text'),
        Prefix: filled('text'),
        Suffix: filled('text'),
        Regex: filled('text'),
        Invert: filled('bool'),
      }),
      true,
    ),
    QueryParam: listOf(
      struct({
        Name: always('text'),
        Present: filled('bool'),
        Exact: filled('text'),
        Regex: filled('text'),
      }),
      true,
    ),
    Methods: texts,
  },
  true,
);

const target: Shapes = { Service: filled('text'), ServiceSubset: filled('text'), Namespace: filled('text') };

const FIELDS: Readonly<Record<ConfigEntryKind, Shapes>> = {
  'service-defaults': {
    Protocol: always('text'),
    MeshGateway: meshGateway,
    Expose: expose,
    ExternalSNI: filled('text'),
  },
  'proxy-defaults': { Config: mapOf(always('anything')), MeshGateway: meshGateway, Expose: expose },
  'service-router': {
    Routes: listOf(
      struct({
        Match: struct({ HTTP: httpMatch }, true),
        Destination: struct(
          {
            ...target,
            PrefixRewrite: filled('text'),
            RequestTimeout: filled('duration'),
            NumRetries: filled('int'),
            RetryOnConnectFailure: filled('bool'),
            RetryOnStatusCodes: listOf(always('int'), true),
          },
          true,
        ),
      }),
    ),
  },
  'service-splitter': { Splits: listOf(struct({ Weight: always('float'), ...target })) },
  'service-resolver': {
    DefaultSubset: filled('text'),
    Subsets: mapOf(struct({ Filter: filled('text'), OnlyPassing: filled('bool') }), true),
    Redirect: struct({ ...target, Datacenter: filled('text') }, true),
    Failover: mapOf(struct({ ...target, Datacenters: texts }), true),
    ConnectTimeout: filled('duration'),
  },
  'ingress-gateway': {
    TLS: struct({ Enabled: always('bool') }),
    Listeners: listOf(
      struct({
        Port: always('int'),
        Protocol: always('text'),
        Services: listOf(
          struct({ Name: always('text'), Hosts: listOf(always('text')), Namespace: filled('text') }),
        ),
      }),
    ),
  },
  'terminating-gateway': {
    Services: listOf(
      struct({
        Name: always('text'),
        Namespace: filled('text'),
        CAFile: filled('text'),
        CertFile: filled('text'),
        KeyFile: filled('text'),
        SNI: filled('text'),
      }),
    ),
  },
};

/** All fields that a body of the kind may have but `Kind` and the indexes. */
export function entryShape(kind: ConfigEntryKind): Shapes {
  return { Name: always('text'), ...FIELDS[kind], Meta: mapOf(always('text'), true) };
}
