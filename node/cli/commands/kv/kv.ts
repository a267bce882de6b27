/** `kv`: the key-value store from the command line. */

import type { CommandGroup } from '../../command.ts';
import { deleteCommand } from './delete.ts';
import { exportCommand } from './export.ts';
import { getCommand } from './get.ts';
import { importCommand } from './import.ts';
import { putCommand } from './put.ts';

export const kvCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Interact with the key-value store',
  usage:
    'Usage: consul kv <subcommand> [options] [args]\n\n  This command has subcommands for interacting with the key-value store.',
  commands: {
    delete: deleteCommand,
    export: exportCommand,
    get: getCommand,
    import: importCommand,
    put: putCommand,
  },
};
