/** The tree of commands. */

import type { CommandGroup } from './command.ts';
import { agentCommand } from './commands/agent.ts';
import { catalogCommand } from './commands/catalog.ts';
import { completionCommand } from './commands/completion.ts';
import { eventCommand } from './commands/event.ts';
import { infoCommand } from './commands/info.ts';
import { keygenCommand } from './commands/keygen.ts';
import { keyringCommand } from './commands/keyring.ts';
import { kvCommand } from './commands/kv/kv.ts';
import { lockCommand } from './commands/lock/lock.ts';
import { maintCommand } from './commands/maint.ts';
import { membersCommand } from './commands/members.ts';
import { forceLeaveCommand, joinCommand, leaveCommand, reloadCommand } from './commands/membership.ts';
import { monitorCommand } from './commands/monitor.ts';
import { operatorCommand } from './commands/operator/operator.ts';
import { rttCommand } from './commands/rtt.ts';
import { servicesCommand } from './commands/services/services.ts';
import { snapshotCommand } from './commands/snapshot/snapshot.ts';
import { validateCommand } from './commands/validate.ts';
import { versionCommand } from './commands/version.ts';
import { watchCommand } from './commands/watch/watch.ts';

export const rootCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Service discovery, health checks and key-value store',
  usage: 'Usage: consul [--version] [--help] <command> [<args>]',
  commands: {
    agent: agentCommand,
    catalog: catalogCommand,
    completion: completionCommand,
    event: eventCommand,
    'force-leave': forceLeaveCommand,
    info: infoCommand,
    join: joinCommand,
    keygen: keygenCommand,
    keyring: keyringCommand,
    kv: kvCommand,
    leave: leaveCommand,
    lock: lockCommand,
    maint: maintCommand,
    members: membersCommand,
    monitor: monitorCommand,
    operator: operatorCommand,
    reload: reloadCommand,
    rtt: rttCommand,
    services: servicesCommand,
    snapshot: snapshotCommand,
    validate: validateCommand,
    version: versionCommand,
    watch: watchCommand,
  },
};
