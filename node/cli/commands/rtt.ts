/** `rtt`: the round trip between two nodes, estimated from their network coordinates. */

import type { Coordinate } from '../../../shared/types/v1.ts';
import type { ApiClient } from '../api-client.ts';
import { clientCommand, ownNodeName } from '../client-command.ts';
import { boolFlag, messageOf } from '../flag-access.ts';
import { commandHelp } from '../help.ts';

export const rttCommand = clientCommand({
  synopsis: 'Estimates network round trip time between nodes',
  usage: `Usage: consul rtt [options] node1 [node2]

  Estimates the round trip time between two nodes using Consul's network
  coordinate model of the cluster.

  At least one node name is required. If the second node name isn't given, it
  is set to the agent's node name. Note that these are node names as known to
  Consul as "consul members" would show, not IP addresses.

  With -wan, the two names are those of servers in the WAN pool, in the form
  <node name>.<datacenter>.`,
  flags: [{ name: 'wan', kind: 'bool', usage: 'Use WAN coordinates instead of LAN coordinates.' }],
  takesServerFlags: false,
  async run(client, flags, io) {
    const names = flags.rest;
    if (names.length < 1 || names.length > 2) {
      io.err(`One or two node names must be specified\n\n${commandHelp(rttCommand)}`);
      return 1;
    }
    const isWan = boolFlag(flags, 'wan');
    if (isWan && names.some((name) => !name.includes('.'))) {
      io.err('Node names must be specified as <node name>.<datacenter> with -wan\n');
      return 1;
    }
    let known: Coordinates;
    let pair: readonly [string, string];
    try {
      known = isWan ? await wanCoordinates(client) : await lanCoordinates(client);
      pair = [names[0] ?? '', names[1] ?? (await ownName(client, isWan))];
    } catch (error) {
      io.err(`Error getting coordinates: ${messageOf(error)}\n`);
      return 1;
    }
    const [a, b] = pair.map((name) => known.get(name));
    if (a === undefined || b === undefined) {
      io.err(`Could not find a coordinate for node ${JSON.stringify(a === undefined ? pair[0] : pair[1])}\n`);
      return 1;
    }
    const milliseconds = (roundTripSeconds(a, b) * 1000).toFixed(3);
    io.out(
      `Estimated ${pair[0]} <-> ${pair[1]} rtt: ${milliseconds} ms (using ${isWan ? 'WAN' : 'LAN'} coordinates)\n`,
    );
    return 0;
  },
});

type Coordinates = ReadonlyMap<string, Coordinate>;

interface CoordinateEntry {
  readonly Node: string;
  readonly Segment: string;
  readonly Coord: Coordinate;
}

async function lanCoordinates(client: ApiClient): Promise<Coordinates> {
  const entries = await client.json<CoordinateEntry[] | null>({
    method: 'GET',
    path: '/v1/coordinate/nodes',
  });
  return new Map((entries ?? []).map((entry) => [entry.Node, entry.Coord]));
}

async function wanCoordinates(client: ApiClient): Promise<Coordinates> {
  interface DatacenterEntry {
    readonly Datacenter: string;
    readonly AreaID: string;
    readonly Coordinates: CoordinateEntry[] | null;
  }
  const areas = await client.json<DatacenterEntry[] | null>({
    method: 'GET',
    path: '/v1/coordinate/datacenters',
  });
  return new Map(
    (areas ?? [])
      .filter((area) => area.AreaID === 'wan')
      .flatMap(({ Datacenter, Coordinates }) =>
        (Coordinates ?? []).map((entry) => [`${entry.Node}.${Datacenter}`, entry.Coord] as const),
      ),
  );
}

async function ownName(client: ApiClient, isWan: boolean): Promise<string> {
  if (!isWan) return ownNodeName(client);
  const { Config } = await client.json<{ Config: { NodeName: string; Datacenter: string } }>({
    method: 'GET',
    path: '/v1/agent/self',
  });
  return `${Config.NodeName}.${Config.Datacenter}`;
}

/** Vivaldi's distance: Euclidean, plus both heights, plus both adjustments unless that makes it negative. */
function roundTripSeconds(a: Coordinate, b: Coordinate): number {
  const squares = a.Vec.map((x, i) => (x - (b.Vec[i] ?? 0)) ** 2);
  const distance = Math.sqrt(squares.reduce((sum, square) => sum + square, 0)) + a.Height + b.Height;
  const adjusted = distance + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : distance;
}
