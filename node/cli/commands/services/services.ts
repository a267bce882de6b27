/** `services`: registrations with the local agent. */

import type { CommandGroup } from '../../command.ts';
import { deregisterCommand } from './deregister.ts';
import { registerCommand } from './register.ts';

export const servicesCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Interact with services',
  usage: `Usage: consul services <subcommand> [options] [args]

  This command has subcommands for interacting with services. The subcommands
  default to working with services registered with the local agent. Please
  see the "consul catalog" command for interacting with the entire catalog.`,
  commands: { deregister: deregisterCommand, register: registerCommand },
};
