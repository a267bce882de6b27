/** `operator raft`: the peers of the consensus, their removal, and who leads them. */

import type { RaftServer } from '../../../../shared/types/v1.ts';
import { clientCommand } from '../../client-command.ts';
import type { CommandGroup } from '../../command.ts';
import { messageOf, textFlag } from '../../flag-access.ts';
import { formatTable } from '../../table.ts';

const listPeers = clientCommand({
  synopsis: 'Display the current Raft peer configuration',
  usage:
    'Usage: consul operator raft list-peers [options]\n\n  Displays the current Raft peer configuration.',
  flags: [],
  takesServerFlags: true,
  async run(client, _flags, io) {
    try {
      const path = '/v1/operator/raft/configuration';
      const { Servers } = await client.json<{ Servers: RaftServer[] }>({ method: 'GET', path });
      const rows = Servers.map((server) => [
        server.Node,
        server.ID,
        server.Address,
        server.Leader ? 'leader' : 'follower',
        String(server.Voter),
        server.ProtocolVersion === '' ? '<=1' : server.ProtocolVersion,
      ]);
      io.out(`${formatTable([['Node', 'ID', 'Address', 'State', 'Voter', 'RaftProtocol'], ...rows])}\n`);
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
  and to hand leadership over before maintenance.`,
  commands: { 'list-peers': listPeers, 'remove-peer': removePeer, 'transfer-leader': transferLeader },
};
