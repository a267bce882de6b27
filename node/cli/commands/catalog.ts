/** `catalog`: datacenters, nodes and services as the servers know them. */

import type { Node, ServiceNode } from '../../../shared/types/v1.ts';
import type { FlagSpec, ParsedFlags } from '../../config/flags.ts';
import type { ApiClient } from '../api-client.ts';
import { clientCommand } from '../client-command.ts';
import type { CliIo, CommandGroup } from '../command.ts';
import { boolFlag, listFlag, messageOf, textFlag } from '../flag-access.ts';
import { formatTable } from '../table.ts';

const NODE_META: FlagSpec = {
  name: 'node-meta',
  kind: 'pairs',
  usage: 'Metadata to filter nodes with, key=value. Can be specified multiple times.',
};

const datacenters = clientCommand({
  synopsis: 'Lists all known datacenters',
  usage: 'Usage: consul catalog datacenters [options]\n\n  Retrieves the list of all known datacenters.',
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (hasArguments(flags, io)) return 1;
    try {
      const names = await client.json<string[]>({ method: 'GET', path: '/v1/catalog/datacenters' });
      for (const name of names) io.out(`${name}\n`);
      return 0;
    } catch (error) {
      io.err(`Error listing datacenters: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

const nodes = clientCommand({
  synopsis: 'Lists all nodes in the given datacenter',
  usage:
    'Usage: consul catalog nodes [options]\n\n  Retrieves the list of nodes registered in a given datacenter.',
  flags: [
    {
      name: 'detailed',
      kind: 'bool',
      usage: 'Output detailed information about the nodes, addresses and metadata included.',
    },
    {
      name: 'near',
      kind: 'string',
      usage: 'Node name to sort the list by estimated round-trip time from; "_agent" for this agent\'s node.',
    },
    NODE_META,
    { name: 'service', kind: 'string', usage: 'Service id or name to filter nodes.' },
    { name: 'filter', kind: 'string', usage: 'Filter to use with the request.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (hasArguments(flags, io)) return 1;
    const service = textFlag(flags, 'service');
    let found: NodeRow[];
    try {
      found = await listNodes(client, flags, service);
    } catch (error) {
      io.err(`Error listing nodes${service === '' ? '' : ' for service'}: ${messageOf(error)}\n`);
      return 1;
    }
    if (found.length === 0) {
      io.err('No nodes match the given query - try expanding your search.\n');
      return 0;
    }
    io.out(`${formatTable(nodeRows(found, boolFlag(flags, 'detailed')))}\n`);
    return 0;
  },
});

const services = clientCommand({
  synopsis: 'Lists all registered services in a datacenter',
  usage:
    'Usage: consul catalog services [options]\n\n  Retrieves the list of services registered in a given datacenter.',
  flags: [
    { name: 'node', kind: 'string', usage: 'Node id or name to list services for.' },
    NODE_META,
    { name: 'tags', kind: 'bool', usage: "Display each service's tags as a comma-separated list." },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (hasArguments(flags, io)) return 1;
    const node = textFlag(flags, 'node');
    let found: Record<string, readonly string[]>;
    try {
      found = await listServices(client, flags, node);
    } catch (error) {
      io.err(`Error listing services${node === '' ? '' : ' for node'}: ${messageOf(error)}\n`);
      return 1;
    }
    const names = Object.keys(found).sort();
    if (names.length === 0) {
      io.err('No services match the given query - try expanding your search.\n');
      return 0;
    }
    io.out(`${serviceLines(names, found, boolFlag(flags, 'tags'))}\n`);
    return 0;
  },
});

export const catalogCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Interact with the catalog',
  usage:
    'Usage: consul catalog <subcommand> [options] [args]\n\n  This command has subcommands for interacting with the catalog.',
  commands: { datacenters, nodes, services },
};

type NodeRow = Pick<Node, 'ID' | 'Node' | 'Address' | 'Datacenter' | 'TaggedAddresses' | 'Meta'>;

async function listNodes(client: ApiClient, flags: ParsedFlags, service: string): Promise<NodeRow[]> {
  const query = {
    near: orUndefined(textFlag(flags, 'near')),
    filter: orUndefined(textFlag(flags, 'filter')),
    'node-meta': metaPairs(flags),
  };
  if (service === '') return client.json<Node[]>({ method: 'GET', path: '/v1/catalog/nodes', query });
  const path = `/v1/catalog/service/${encodeURIComponent(service)}`;
  const instances = await client.json<ServiceNode[]>({ method: 'GET', path, query });
  return instances.map(({ NodeMeta, ...instance }) => ({ ...instance, Meta: NodeMeta }));
}

async function listServices(client: ApiClient, flags: ParsedFlags, node: string) {
  if (node === '') {
    const query = { 'node-meta': metaPairs(flags) };
    return client.json<Record<string, string[]>>({ method: 'GET', path: '/v1/catalog/services', query });
  }
  const path = `/v1/catalog/node/${encodeURIComponent(node)}`;
  type NodeServices = { Services: Record<string, { Service: string; Tags: string[] | null }> } | null;
  const answer = await client.json<NodeServices>({ method: 'GET', path });
  const byName: Record<string, string[]> = {};
  for (const { Service, Tags } of Object.values(answer?.Services ?? {})) {
    byName[Service] = [...new Set([...(byName[Service] ?? []), ...(Tags ?? [])])];
  }
  return byName;
}

function nodeRows(found: readonly NodeRow[], isDetailed: boolean): string[][] {
  if (!isDetailed) {
    const rows = found.map((node) => [node.Node, node.ID.split('-')[0] ?? '', node.Address, node.Datacenter]);
    return [['Node', 'ID', 'Address', 'DC'], ...rows];
  }
  const rows = found.map((node) => [
    node.Node,
    node.ID,
    node.Address,
    node.Datacenter,
    pairs(node.TaggedAddresses),
    pairs(node.Meta),
  ]);
  return [['Node', 'ID', 'Address', 'DC', 'TaggedAddresses', 'Meta'], ...rows];
}

/** With tags: the name padded to the longest plus six blanks, then the sorted tags. */
function serviceLines(
  names: readonly string[],
  found: Readonly<Record<string, readonly string[]>>,
  withTags: boolean,
): string {
  if (!withTags) return names.join('\n');
  const width = Math.max(...names.map((name) => name.length)) + 6;
  return names
    .map((name) => name.padEnd(width) + [...(found[name] ?? [])].sort().join(','))
    .join('\n')
    .trimEnd();
}

function pairs(map: Readonly<Record<string, string>> | null): string {
  return Object.entries(map ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(', ');
}

function metaPairs(flags: ParsedFlags): readonly string[] | undefined {
  const given = listFlag(flags, 'node-meta').map((pair) => pair.replace('=', ':'));
  return given.length === 0 ? undefined : given;
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function hasArguments(flags: ParsedFlags, io: CliIo): boolean {
  if (flags.rest.length === 0) return false;
  io.err(`Too many arguments (expected 0, got ${flags.rest.length})\n`);
  return true;
}
