/** `snapshot save`: the servers' whole state as a checked archive in a file. */

import { open, rename, rm } from 'node:fs/promises';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand } from '../../client-command.ts';
import { messageOf } from '../../flag-access.ts';
import { fileErrorText } from '../../system-text.ts';
import { verifySnapshot } from './archive.ts';
import { fileArgumentProblem } from './file-argument.ts';

export const saveCommand = clientCommand({
  synopsis: 'Saves snapshot of Consul server state',
  usage: `Usage: consul snapshot save [options] FILE

  Retrieves an atomic, point-in-time snapshot of the state of the Consul
  servers which includes key/value entries, service catalog, prepared queries,
  sessions, and ACLs, and writes it to FILE once it has been checked.

  If ACLs are enabled, a management token must be supplied in order to
  perform snapshot operations.

      $ consul snapshot save backup.snap

  To take a potentially stale snapshot from any available server, which is
  useful in situations where a cluster is in a degraded state and no leader
  is available:

      $ consul snapshot save -stale backup.snap`,
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    const problem = fileArgumentProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const [file = ''] = flags.rest;
    const unverified = `${file}.unverified`;
    try {
      const index = await save(client, file, unverified);
      io.out(`Saved and verified snapshot to index ${index}\n`);
      return 0;
    } catch (error) {
      io.err(`Error ${messageOf(error)}\n`);
      await rm(unverified, { force: true });
      return 1;
    }
  },
});

/** Nobody sees `file` before it is whole, checked and on disk. @returns the snapshot's index */
async function save(client: ApiClient, file: string, unverified: string): Promise<string> {
  const response = await failingAs('saving snapshot', client.open({ method: 'GET', path: '/v1/snapshot' }));
  try {
    await failingAs('writing unverified snapshot file', write(response, unverified));
  } finally {
    // What nobody reads would keep the connection, and the process, open.
    response.destroy();
  }
  const meta = await failingAs('verifying snapshot file', verifySnapshot(unverified));
  try {
    await rename(unverified, file);
  } catch (error) {
    throw new Error(
      `renaming ${JSON.stringify(unverified)} to ${JSON.stringify(file)}: ${fileErrorText('rename', file, error)}`,
    );
  }
  const header = response.headers['x-consul-index'];
  return typeof header === 'string' && header !== '' ? header : String(meta.Index);
}

async function write(content: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(path, 'w', 0o600);
  } catch (error) {
    throw new Error(fileErrorText('open', path, error));
  }
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function failingAs<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`);
  }
}
