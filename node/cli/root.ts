/** The tree of commands. */

import { AGENT_FLAGS } from '../config/agent-flags.ts';
import type { CommandGroup } from './command.ts';
import { aclCommands } from './commands/acl/acl.ts';
import { catalogCommand } from './commands/catalog.ts';
import { completionCommand } from './commands/completion.ts';
import { configCommand } from './commands/config/config.ts';
import { debugCommand } from './commands/debug/debug.ts';
import { eventCommand } from './commands/event.ts';
import { execCommand } from './commands/exec/exec.ts';
import { infoCommand } from './commands/info.ts';
import { keygenCommand } from './commands/keygen.ts';
import { keyringCommand } from './commands/keyring.ts';
import { kvCommand } from './commands/kv/kv.ts';
import { lockCommand } from './commands/lock/lock.ts';
import { loginCommand, logoutCommand } from './commands/login.ts';
import { maintCommand } from './commands/maint.ts';
import { membersCommand } from './commands/members.ts';
import { forceLeaveCommand, joinCommand, leaveCommand, reloadCommand } from './commands/membership.ts';
import { monitorCommand } from './commands/monitor.ts';
import { operatorCommand } from './commands/operator/operator.ts';
import { rttCommand } from './commands/rtt.ts';
import { servicesCommand } from './commands/services/services.ts';
import { snapshotCommand } from './commands/snapshot/snapshot.ts';
import { tlsCommand } from './commands/tls/tls.ts';
import { validateCommand } from './commands/validate.ts';
import { versionCommand } from './commands/version.ts';
import { watchCommand } from './commands/watch/watch.ts';
import { lazyCommand } from './lazy-command.ts';

const agentCommand = lazyCommand(
  {
    synopsis: 'Runs a Consul agent',
    usage: `Usage: consul agent [options]

  Starts the Consul agent and runs until an interrupt is received. The agent
  represents a single node in a cluster.

      $ consul agent -dev
      $ consul agent -server -bootstrap-expect=3 -data-dir=/var/lib/consul -retry-join=10.0.0.1`,
    flags: AGENT_FLAGS,
  },
  async () => (await import('./commands/agent.ts')).agentCommand,
);

export const rootCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Service discovery, health checks and key-value store',
  usage: 'Usage: consul [--version] [--help] <command> [<args>]',
  commands: {
    acl: aclCommands,
    agent: agentCommand,
    catalog: catalogCommand,
    completion: completionCommand,
    config: configCommand,
    debug: debugCommand,
    event: eventCommand,
    exec: execCommand,
    'force-leave': forceLeaveCommand,
    info: infoCommand,
    join: joinCommand,
    keygen: keygenCommand,
    keyring: keyringCommand,
    kv: kvCommand,
    leave: leaveCommand,
    lock: lockCommand,
    login: loginCommand,
    logout: logoutCommand,
    maint: maintCommand,
    members: membersCommand,
    monitor: monitorCommand,
    operator: operatorCommand,
    reload: reloadCommand,
    rtt: rttCommand,
    services: servicesCommand,
    snapshot: snapshotCommand,
    tls: tlsCommand,
    validate: validateCommand,
    version: versionCommand,
    watch: watchCommand,
  },
};
