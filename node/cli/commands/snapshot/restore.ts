/** `snapshot restore`: puts the servers back to a saved state. */

import { type FileHandle, open } from 'node:fs/promises';
import { clientCommand } from '../../client-command.ts';
import { messageOf } from '../../flag-access.ts';
import { fileErrorText } from '../../system-text.ts';
import { fileArgumentProblem } from './file-argument.ts';

export const restoreCommand = clientCommand({
  synopsis: 'Restores snapshot of Consul server state',
  usage: `Usage: consul snapshot restore [options] FILE

  Restores an atomic, point-in-time snapshot of the state of the Consul
  servers which includes key/value entries, service catalog, prepared queries,
  sessions, and ACLs.

  Restores involve a potentially dangerous low-level Raft operation that is
  not designed to handle server failures during a restore. This command is
  primarily intended to be used when recovering from a disaster, restoring
  into a fresh cluster of Consul servers.

  If ACLs are enabled, a management token must be supplied in order to
  perform snapshot operations.

      $ consul snapshot restore backup.snap`,
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    const problem = fileArgumentProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const [path = ''] = flags.rest;
    let file: FileHandle;
    try {
      file = await open(path);
    } catch (error) {
      io.err(`Error opening snapshot file: ${fileErrorText('open', path, error)}\n`);
      return 1;
    }
    try {
      await client.expectOk({ method: 'PUT', path: '/v1/snapshot', body: file.createReadStream() });
    } catch (error) {
      io.err(`Error restoring snapshot: ${messageOf(error)}\n`);
      return 1;
    }
    io.out('Restored snapshot\n');
    return 0;
  },
});
