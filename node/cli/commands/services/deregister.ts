/** `services deregister`: takes services off the local agent, by ID or by the files that registered them. */

import { clientCommand, encodePath } from '../../client-command.ts';
import { messageOf, textFlag } from '../../flag-access.ts';
import { servicesFromFiles } from './definition-files.ts';

export const deregisterCommand = clientCommand({
  synopsis: 'Deregister services with the local agent',
  usage: `Usage: consul services deregister [options] [FILE...]

  Deregister one or more services that were previously registered with the
  local agent, by the same files that they were registered from, or by ID.

      $ consul services deregister web.json
      $ consul services deregister -id=web`,
  flags: [{ name: 'id', kind: 'string', usage: 'ID of the service to deregister.' }],
  takesServerFlags: true,
  async run(client, flags, io) {
    const id = textFlag(flags, 'id');
    const hasFiles = flags.rest.length > 0;
    if (hasFiles === (id !== '')) {
      io.err(
        hasFiles
          ? 'Service deregistration requires arguments or -id, not both.\n'
          : 'Service deregistration requires at least one argument or -id.\n',
      );
      return 1;
    }
    let ids: string[];
    try {
      ids = hasFiles ? servicesFromFiles(flags.rest).map((service) => service.id || service.name) : [id];
    } catch (error) {
      io.err(`Error: ${messageOf(error)}\n`);
      return 1;
    }
    for (const each of ids) {
      try {
        await client.expectOk({ method: 'PUT', path: `/v1/agent/service/deregister/${encodePath(each)}` });
      } catch (error) {
        // The wording is Consul's: it names no service, and speaks of registering.
        io.err(`Error registering service "": ${messageOf(error)}\n`);
        return 1;
      }
      io.out(`Deregistered service: ${each}\n`);
    }
    return 0;
  },
});
