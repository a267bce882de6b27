/** `config write`: one configuration entry from a file in HCL or JSON. */

import { isTree, type Tree } from '../../../config/decode.ts';
import { parseHcl } from '../../../config/hcl.ts';
import { parseJsonText } from '../../../config/json-text.ts';
import { clientCommand } from '../../client-command.ts';
import { readDataArgument } from '../../data-argument.ts';
import { boolFlag, messageOf } from '../../flag-access.ts';
import { uint64Flag } from '../../uint64-flag.ts';

/** The spelling is Consul's. */
export const SETUP_ERROR_PREFIX = 'Error connect to Consul agent: ';

export const writeCommand = clientCommand({
  synopsis: 'Create or update a centralized config entry',
  usage: `Usage: consul config write [options] <configuration>

  Requests a config entry to be created or updated. The configuration
  argument is either a file path or '-' to indicate that the config should be
  read from stdin. The data should be either in HCL or JSON form.

      $ consul config write web.service-defaults.hcl
      $ consul config write -`,
  flags: [
    {
      name: 'cas',
      kind: 'bool',
      usage: 'Perform a check-and-set operation. The entry is only written if -modify-index still fits.',
    },
    {
      name: 'modify-index',
      kind: 'uint',
      usage: 'Unsigned integer ModifyIndex of the entry, for -cas. 0 creates only.',
    },
  ],
  takesServerFlags: true,
  setupErrorPrefix: SETUP_ERROR_PREFIX,
  async run(client, flags, io) {
    const [file] = flags.rest;
    if (file === undefined || flags.rest.length !== 1) {
      io.err('Must provide exactly one positional argument to specify the config entry to write\n');
      return 1;
    }
    const index = uint64Flag(flags, 'modify-index');
    let text: string;
    try {
      text = Buffer.from(await readDataArgument(file === '-' ? file : `@${file}`, io)).toString();
    } catch (error) {
      io.err(`Failed to load data: ${messageOf(error)}\n`);
      return 1;
    }
    let entry: NamedEntry;
    try {
      entry = parseEntry(text);
    } catch (error) {
      io.err(`Failed to decode config entry input: ${messageOf(error)}\n`);
      return 1;
    }
    const query = boolFlag(flags, 'cas') ? { cas: String(index) } : {};
    const label = `${entry.kind}/${entry.name}`;
    try {
      const body = JSON.stringify(entry.tree);
      const response = await client.expectOk({ method: 'PUT', path: '/v1/config', query, body });
      if (!response.body.toString().includes('true')) {
        io.err(`Config entry not updated: ${label}\n`);
        return 1;
      }
    } catch (error) {
      io.err(`Error writing config entry ${label}: ${messageOf(error)}\n`);
      return 1;
    }
    io.out(`Config entry written: ${label}\n`);
    return 0;
  },
});

interface NamedEntry {
  readonly kind: string;
  readonly name: string;
  readonly tree: Tree;
}

/** The servers check the fields; here only what the command itself needs. @throws Error */
function parseEntry(text: string): NamedEntry {
  const tree = text.trimStart().startsWith('{') ? parseJsonText(text) : parseHcl(text);
  if (!isTree(tree)) throw new Error('the entry must be an object');
  const kind = tree.Kind ?? tree.kind;
  const name = tree.Name ?? tree.name;
  if (typeof kind !== 'string' || kind === '') {
    throw new Error('Payload does not contain a kind/Kind key at the top level');
  }
  return { kind, name: typeof name === 'string' ? name : '', tree };
}
