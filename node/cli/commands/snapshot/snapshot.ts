/** `snapshot`: saving, restoring and looking at the servers' state. */

import type { CommandGroup } from '../../command.ts';
import { inspectCommand } from './inspect.ts';
import { restoreCommand } from './restore.ts';
import { saveCommand } from './save.ts';

export const snapshotCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Saves, restores and inspects snapshots of Consul server state',
  usage: `Usage: consul snapshot <subcommand> [options] [args]

  This command has subcommands for saving, restoring, and inspecting the state
  of the Consul servers for disaster recovery. These are atomic, point-in-time
  snapshots which include key/value entries, service catalog, prepared
  queries, sessions, and ACLs.`,
  commands: { inspect: inspectCommand, restore: restoreCommand, save: saveCommand },
};
