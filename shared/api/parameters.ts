/** The parameters of the API, by name: what they mean and how they look. */

import { flag, type Schema, text, unsigned, whole } from './schema.ts';

interface Parameter {
  /** As it is sent, where the same name means something else in another operation. */
  readonly name?: string;
  readonly description: string;
  readonly schema: Schema;
  /** May be given more than once. */
  readonly repeats?: true;
  /** Counts by being there; its value is not looked at. */
  readonly isPresence?: true;
}

const presence = (description: string): Parameter => ({ description, schema: flag, isPresence: true });
const words = (description: string): Parameter => ({ description, schema: text });
const several = (description: string): Parameter => ({ description, schema: text, repeats: true });

export const QUERY_PARAMETERS = {
  'watch-health': { name: 'health', ...several('Services whose instances are watched with their checks.') },
  'watch-index': {
    name: 'index',
    ...words('The `id` of the last event, or an `X-Consul-Index`: goes on from there.'),
  },
  'watch-kv': { name: 'kv', ...several('Prefixes of keys that are watched; empty: all keys.') },
  'watch-service': { name: 'service', ...several('Services whose instances are watched.') },
  'watch-services': { name: 'services', ...presence('Watches the names of all services.') },
  'sd-service': { name: 'service', ...several('Only these services; all if not given.') },
  acquire: words('Takes the lock on the key for this session.'),
  address: words('`host:port` of the server.'),
  cached: presence("Lets the agent's cache answer."),
  cas: {
    description: 'Does it only if this is still the index of the last change; 0: if it does not exist.',
    schema: unsigned,
  },
  connect: { description: 'Looks for proxies in place of the service.', schema: flag },
  consistent: presence('The leader makes sure that it still leads before it answers.'),
  dc: words("The datacenter asked; the agent's own if not given."),
  dns: words('A DNS message in base64url.'),
  enable: { description: 'On or off.', schema: flag },
  filter: words('A filter expression such as `ServiceMeta.team == core`.'),
  flags: { description: 'A number kept with the value, below 2⁶⁴.', schema: unsigned },
  format: words('`text` for words, `prometheus` for metrics in that format.'),
  hash: words('`X-Consul-ContentHash` of the last answer: waits until the service differs from it.'),
  id: words('ID of the server.'),
  index: {
    description: '`X-Consul-Index` of the last answer: waits until something is newer, for at most `wait`.',
    schema: unsigned,
  },
  keys: presence('Lists keys without values.'),
  'local-only': { description: 'Asks no other server.', schema: flag },
  logjson: presence('One JSON object a line.'),
  loglevel: words('`trace`, `debug`, `info`, `warn` or `err`.'),
  limit: { description: 'At most so many instances; 0: all.', schema: whole },
  max_stale: words('How old an answer may be, a duration; implies `stale`.'),
  name: words('Only events of this name; where DNS is asked, the name asked for.'),
  near: words('Sorts by distance from this node; `_agent`: the one that answers.'),
  node: words('Only for nodes whose name fits this regular expression.'),
  'node-meta': {
    description: 'Only nodes with this metadata, `key:value`.',
    schema: text,
    repeats: true,
  },
  note: words('Becomes the output of the check.'),
  passing: { description: 'Only instances whose checks all pass.', schema: flag },
  prune: presence('Forgets the member at once.'),
  raw: presence('The value itself.'),
  reason: words('Becomes the notes of the maintenance check.'),
  recurse: presence('All keys that begin with this one.'),
  'relay-factor': { description: 'How many members repeat the request, 0 to 5.', schema: whole },
  release: words('Gives the lock on the key back, if this session holds it.'),
  'replace-existing-checks': {
    description: 'Removes checks of the service that the request does not name.',
    schema: flag,
  },
  seconds: { description: 'How long, above 0 and at most 300; 30 if not given.', schema: whole },
  segment: words('Only entries of this network segment.'),
  separator: words('With `keys`: cuts keys behind the first separator after the prefix.'),
  service: words('Only for agents with a service whose name fits this regular expression.'),
  stale: presence('Any server may answer.'),
  'last-index': presence('Adds how far the log of each server is.'),
  tag: { description: 'Only with this tag.', schema: text, repeats: true },
  type: words('A DNS record type such as `SRV` or `1`; A if not given.'),
  wait: words('How long to wait for news, a duration; 5 minutes if not given, at most 10.'),
  wan: words('Not empty: the pool of servers of all datacenters.'),
} as const satisfies Record<string, Parameter>;

export type QueryParameter = keyof typeof QUERY_PARAMETERS;

export const PATH_PARAMETERS = {
  address: '`host` or `host:port`.',
  accessor: 'Accessor ID of a token.',
  check: 'ID of a check.',
  gateway: 'Name of a gateway service.',
  id: 'UUID.',
  key: 'A key, or with `recurse` and `keys` the beginning of keys. May hold slashes.',
  kind: 'A kind of configuration entry or token.',
  name: 'A name.',
  node: 'Name of a node.',
  query: 'ID or name of a prepared query.',
  service: 'Name of a service.',
  serviceId: 'ID of a service instance.',
  session: 'ID of a session.',
  state: '`any`, `passing`, `warning` or `critical`.',
} as const;

/** Repetition and presence are how a parameter is sent, not what it is. */
export function queryParameter(name: QueryParameter): Parameter {
  return QUERY_PARAMETERS[name];
}
