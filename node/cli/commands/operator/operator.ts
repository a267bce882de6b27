/** `operator`: tools for whoever runs the servers. */

import type { CommandGroup } from '../../command.ts';
import { autopilotCommand } from './autopilot.ts';
import { raftCommand } from './raft.ts';
import { storageCommand } from './storage.ts';

export const operatorCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Provides cluster-level tools for Consul operators',
  usage: `Usage: consul operator <subcommand> [options]

  Provides cluster-level tools for Consul operators, such as interacting with
  the Raft subsystem. Use this command with extreme caution, as improper use
  could lead to a Consul outage and even loss of data.`,
  commands: { autopilot: autopilotCommand, raft: raftCommand, storage: storageCommand },
};
