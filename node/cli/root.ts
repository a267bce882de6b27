/** The tree of commands. */

import type { CommandGroup } from './command.ts';
import { agentCommand } from './commands/agent.ts';
import { catalogCommand } from './commands/catalog.ts';
import { infoCommand } from './commands/info.ts';
import { keygenCommand } from './commands/keygen.ts';
import { kvCommand } from './commands/kv/kv.ts';
import { maintCommand } from './commands/maint.ts';
import { membersCommand } from './commands/members.ts';
import { forceLeaveCommand, joinCommand, leaveCommand, reloadCommand } from './commands/membership.ts';
import { operatorCommand } from './commands/operator.ts';
import { validateCommand } from './commands/validate.ts';
import { versionCommand } from './commands/version.ts';

export const rootCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Service discovery, health checks and key-value store',
  usage: 'Usage: consul [--version] [--help] <command> [<args>]',
  commands: {
    agent: agentCommand,
    catalog: catalogCommand,
    'force-leave': forceLeaveCommand,
    info: infoCommand,
    join: joinCommand,
    keygen: keygenCommand,
    kv: kvCommand,
    leave: leaveCommand,
    maint: maintCommand,
    members: membersCommand,
    operator: operatorCommand,
    reload: reloadCommand,
    validate: validateCommand,
    version: versionCommand,
  },
};
