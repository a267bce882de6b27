/** `join`, `leave`, `force-leave` and `reload`: what changes the agent's place in the pool. */

import { clientCommand, encodePath } from '../client-command.ts';
import { boolFlag, messageOf } from '../flag-access.ts';
import { commandHelp } from '../help.ts';

export const joinCommand = clientCommand({
  synopsis: 'Tell Consul agent to join cluster',
  usage:
    'Usage: consul join [options] address ...\n\n  Tells a running Consul agent to join the cluster by specifying at least one existing member.',
  flags: [{ name: 'wan', kind: 'bool', usage: 'Joins the WAN pool instead of the LAN pool.' }],
  takesServerFlags: false,
  async run(client, flags, io) {
    if (flags.rest.length === 0) {
      io.err(`At least one address to join must be specified.\n\n${commandHelp(joinCommand)}`);
      return 1;
    }
    let joined = 0;
    for (const address of flags.rest) {
      try {
        const query = boolFlag(flags, 'wan') ? { wan: '1' } : {};
        await client.expectOk({ method: 'PUT', path: `/v1/agent/join/${encodePath(address)}`, query });
        joined++;
      } catch (error) {
        io.err(`Error joining address '${address}': ${messageOf(error)}\n`);
      }
    }
    if (joined === 0) {
      io.err('Failed to join any nodes.\n');
      return 1;
    }
    io.out(`Successfully joined cluster by contacting ${joined} nodes.\n`);
    return 0;
  },
});

export const leaveCommand = clientCommand({
  synopsis: 'Gracefully leaves the Consul cluster and shuts down',
  usage: 'Usage: consul leave [options]\n\n  Causes the agent to gracefully leave the cluster and shut down.',
  flags: [],
  takesServerFlags: false,
  async run(client, flags, io) {
    if (flags.rest.length > 0) {
      io.err(`Error found unexpected args: [${flags.rest.join(' ')}]\n`);
      io.out(commandHelp(leaveCommand));
      return 1;
    }
    try {
      await client.expectOk({ method: 'PUT', path: '/v1/agent/leave' });
    } catch (error) {
      io.err(`Error leaving: ${messageOf(error)}\n`);
      return 1;
    }
    io.out('Graceful leave complete\n');
    return 0;
  },
});

export const forceLeaveCommand = clientCommand({
  synopsis: 'Forces a member of the cluster to enter the "left" state',
  usage:
    'Usage: consul force-leave [options] name\n\n  Forces a failed member of the cluster to enter the "left" state.',
  flags: [{ name: 'prune', kind: 'bool', usage: 'Removes the member from the list at once.' }],
  takesServerFlags: false,
  async run(client, flags, io) {
    const [name] = flags.rest;
    if (name === undefined || flags.rest.length !== 1) {
      io.err(`A single node name must be specified to force leave.\n${commandHelp(forceLeaveCommand)}`);
      return 1;
    }
    try {
      const query = boolFlag(flags, 'prune') ? { prune: '1' } : {};
      await client.expectOk({ method: 'PUT', path: `/v1/agent/force-leave/${encodePath(name)}`, query });
    } catch (error) {
      io.err(`Error force leaving: ${messageOf(error)}\n`);
      return 1;
    }
    return 0;
  },
});

export const reloadCommand = clientCommand({
  synopsis: 'Triggers the agent to reload configuration files',
  usage: 'Usage: consul reload\n\n  Causes the agent to reload configurations.',
  flags: [],
  takesServerFlags: false,
  async run(client, _flags, io) {
    try {
      await client.expectOk({ method: 'PUT', path: '/v1/agent/reload' });
    } catch (error) {
      io.err(`Error reloading: ${messageOf(error)}\n`);
      return 1;
    }
    io.out('Configuration reload triggered\n');
    return 0;
  },
});
