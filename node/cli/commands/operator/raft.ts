/** `operator raft`: the peers of the consensus, their removal, and who leads them. */

import type { RaftServer } from '../../../../shared/types/v1.ts';
import { clientCommand } from '../../client-command.ts';
import type { CommandGroup } from '../../command.ts';
import { boolFlag, messageOf, textFlag } from '../../flag-access.ts';
import { formatTable } from '../../table.ts';
import { recoverCommand } from './recover.ts';

/** Consul 1.8's, which scripts parse. */
const COLUMNS = ['Node', 'ID', 'Address', 'State', 'Voter', 'RaftProtocol'];
/** What Consul adds from 1.16.1 on. */
const LAG_COLUMNS = ['Commit Index', 'Trails Leader By'];
const UNKNOWN = 'unknown';

/** @param leaderIndex undefined when no leader has told how far the servers are */
function lagOf(server: RaftServer, leaderIndex: number | undefined): [string, string] {
  if (server.LastIndex === undefined) return [UNKNOWN, UNKNOWN];
  const index = String(server.LastIndex);
  if (server.Leader) return [index, '-'];
  if (leaderIndex === undefined) return [index, UNKNOWN];
  const behind = Math.max(0, leaderIndex - server.LastIndex);
  return [index, behind === 1 ? '1 commit' : `${behind} commits`];
}

const listPeers = clientCommand({
  synopsis: 'Display the current Raft peer configuration',
  usage:
    'Usage: consul operator raft list-peers [options]\n\n  Displays the current Raft peer configuration.',
  flags: [
    {
      name: 'lag',
      kind: 'bool',
      usage: 'Add two columns: how far the log of each server is, and by how much that is behind the leader.',
    },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    try {
      const path = '/v1/operator/raft/configuration';
      const withLag = boolFlag(flags, 'lag');
      const query = { 'last-index': withLag ? '' : undefined };
      const { Servers } = await client.json<{ Servers: RaftServer[] }>({ method: 'GET', path, query });
      const leaderIndex = Servers.find((server) => server.Leader)?.LastIndex;
      const rows = Servers.map((server) => [
        server.Node,
        server.ID,
        server.Address,
        server.Leader ? 'leader' : 'follower',
        String(server.Voter),
        server.ProtocolVersion === '' ? '<=1' : server.ProtocolVersion,
        ...(withLag ? lagOf(server, leaderIndex) : []),
      ]);
      io.out(`${formatTable([[...COLUMNS, ...(withLag ? LAG_COLUMNS : [])], ...rows])}\n`);
      return 0;
    } catch (error) {
      io.err(`Error getting peers: Failed to retrieve raft configuration: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

const removePeer = clientCommand({
  synopsis: 'Remove a Consul server from the Raft configuration',
  usage:
    'Usage: consul operator raft remove-peer [options]\n\n  Removes the server with the given address or ID from the Raft configuration.',
  flags: [
    { name: 'address', kind: 'string', usage: 'The ip:port of the server to remove.' },
    { name: 'id', kind: 'string', usage: 'The ID of the server to remove.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const address = textFlag(flags, 'address');
    const id = textFlag(flags, 'id');
    try {
      if (address === '' && id === '') throw new Error('an address or id is required for the peer to remove');
      if (address !== '' && id !== '') throw new Error('cannot give both an address and id');
      const query = address === '' ? { id } : { address };
      await client.expectOk({ method: 'DELETE', path: '/v1/operator/raft/peer', query });
    } catch (error) {
      io.err(`Error removing peer: ${messageOf(error)}\n`);
      return 1;
    }
    io.out(
      `Removed peer with ${address === '' ? `id ${JSON.stringify(id)}` : `address ${JSON.stringify(address)}`}\n`,
    );
    return 0;
  },
});

const transferLeader = clientCommand({
  synopsis: 'Transfer raft leadership to another node',
  usage: `Usage: consul operator raft transfer-leader [options]

  Transfers the leadership of the datacenter to another server: the given one,
  or one that is up to date.`,
  flags: [{ name: 'id', kind: 'string', usage: 'The ID of the server that is to lead. Default: any.' }],
  takesServerFlags: true,
  async run(client, flags, io) {
    const id = textFlag(flags, 'id');
    try {
      const { Success } = await client.json<{ Success: boolean }>({
        method: 'POST',
        path: '/v1/operator/raft/transfer-leader',
        query: { id: id === '' ? undefined : id },
      });
      if (!Success) throw new Error('leadership was not transferred');
    } catch (error) {
      io.err(`Error transferring leadership: ${messageOf(error)}\n`);
      return 1;
    }
    io.out('Success\n');
    return 0;
  },
});

export const raftCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Provides cluster-level tools for Consul operators',
  usage: `Usage: consul operator raft <subcommand> [options]

  The Raft operator command is used to interact with Consul's Raft subsystem.
  It can be used to examine the servers, to remove one that is gone for good,
  to hand leadership over before maintenance, and to recover when so many are
  gone that the rest have no quorum.`,
  commands: {
    'list-peers': listPeers,
    recover: recoverCommand,
    'remove-peer': removePeer,
    'transfer-leader': transferLeader,
  },
};
