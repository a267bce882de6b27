/** `config`: centrally kept configuration entries of services and proxies. */

import { renderJson } from '../../../../shared/json.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand, encodePath } from '../../client-command.ts';
import type { CliIo, CommandGroup } from '../../command.ts';
import { messageOf, textFlag } from '../../flag-access.ts';
import { SETUP_ERROR_PREFIX, writeCommand } from './write.ts';

const KIND: FlagSpec = { name: 'kind', kind: 'string', usage: 'The kind of the configuration entry.' };
const NAME: FlagSpec = { name: 'name', kind: 'string', usage: 'The name of the configuration entry.' };

const read = entryCommand({
  synopsis: 'Read a centralized config entry',
  usage: `Usage: consul config read [options] -kind <config kind> -name <config name>

  Reads the config entry specified by the given kind and name and outputs its
  JSON representation.

      $ consul config read -kind proxy-defaults -name global`,
  failure: (kind, name) => `Error reading config entry ${kind}/${name}`,
  async act(client, kind, name, io) {
    const response = await client.expectOk({ method: 'GET', path: pathOf(kind, name) });
    io.out(renderJson(parseUint64Json(response.body.toString()), true));
  },
});

const remove = entryCommand({
  synopsis: 'Delete a centralized config entry',
  usage: `Usage: consul config delete [options] -kind <config kind> -name <config name>

  Deletes the configuration entry specified by the kind and name.

      $ consul config delete -kind service-defaults -name web`,
  failure: (kind, name) => `Error deleting config entry ${kind}/${name}`,
  async act(client, kind, name, io) {
    await client.expectOk({ method: 'DELETE', path: pathOf(kind, name) });
    io.out(`Config entry deleted: ${kind}/${name}\n`);
  },
});

const list = clientCommand({
  synopsis: 'List centralized config entries of a given kind',
  usage: `Usage: consul config list [options] -kind <config kind>

  Lists all of the config entries for a given kind. The -kind parameter is
  required.

      $ consul config list -kind service-defaults`,
  flags: [KIND],
  takesServerFlags: true,
  setupErrorPrefix: SETUP_ERROR_PREFIX,
  async run(client, flags, io) {
    const kind = textFlag(flags, 'kind');
    if (kind === '') {
      io.err('Must specify the -kind parameter\n');
      return 1;
    }
    try {
      const entries = await client.json<{ Name: string }[] | null>({
        method: 'GET',
        path: `/v1/config/${encodePath(kind)}`,
      });
      for (const entry of entries ?? []) io.out(`${entry.Name}\n`);
      return 0;
    } catch (error) {
      io.err(`Error listing config entries for kind ${JSON.stringify(kind)}: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

export const configCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Interact with Consul's Centralized Configurations",
  usage: `Usage: consul config <subcommand> [options] [args]

  This command has subcommands for interacting with Consul's Centralized
  Configuration system.`,
  commands: { delete: remove, list, read, write: writeCommand },
};

interface EntryCommandSpec {
  readonly synopsis: string;
  readonly usage: string;
  /** What precedes the text of an error. */
  readonly failure: (kind: string, name: string) => string;
  readonly act: (client: ApiClient, kind: string, name: string, io: CliIo) => Promise<void>;
}

function entryCommand(spec: EntryCommandSpec) {
  return clientCommand({
    synopsis: spec.synopsis,
    usage: spec.usage,
    flags: [KIND, NAME],
    takesServerFlags: true,
    setupErrorPrefix: SETUP_ERROR_PREFIX,
    async run(client: ApiClient, flags: ParsedFlags, io: CliIo) {
      const missing = ['kind', 'name'].find((flag) => textFlag(flags, flag) === '');
      if (missing !== undefined) {
        io.err(`Must specify the -${missing} parameter\n`);
        return 1;
      }
      const kind = textFlag(flags, 'kind');
      const name = textFlag(flags, 'name');
      try {
        await spec.act(client, kind, name, io);
        return 0;
      } catch (error) {
        io.err(`${spec.failure(kind, name)}: ${messageOf(error)}\n`);
        return 1;
      }
    },
  });
}

function pathOf(kind: string, name: string): string {
  return `/v1/config/${encodePath(kind)}/${encodePath(name)}`;
}
