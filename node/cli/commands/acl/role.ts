/** `acl role`: named sets of policies and identities. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import type { CommandGroup } from '../../command.ts';
import { boolFlag, optionalTextFlag, textFlag } from '../../flag-access.ts';
import {
  aclCommand,
  FORMAT_FLAG,
  failingAs,
  META_FLAG,
  shown,
  shownList,
  UsageError,
} from './acl-command.ts';
import { changedGrants, grantsFromFlags, IDENTITY_FLAGS, isEmptyGrants, POLICY_FLAGS } from './grants.ts';
import { roleIdByName, roleIdOf } from './lookup.ts';
import type { Role } from './objects.ts';
import { rolePrinter } from './print.ts';

const ID: FlagSpec = { name: 'id', kind: 'string', usage: 'ID of the role, or its beginning.' };
const NAME: FlagSpec = { name: 'name', kind: 'string', usage: 'Name of the role.' };
const DESCRIPTION: FlagSpec = { name: 'description', kind: 'string', usage: 'Description of the role.' };
const GRANT_FLAGS = [...POLICY_FLAGS, ...IDENTITY_FLAGS];

const create = aclCommand({
  synopsis: 'Create an ACL role',
  usage: `Usage: consul acl role create -name NAME [options]

  Creates a role.

      $ consul acl role create -name "new-role" -policy-name "a-policy" -service-identity "web"`,
  flags: [NAME, DESCRIPTION, ...GRANT_FLAGS, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    if (textFlag(flags, 'name') === '') throw new UsageError("Missing require '-name' flag");
    const { Roles: _, ...grants } = await grantsFromFlags(client, flags);
    if (isEmptyGrants(grants)) {
      throw new Error(
        'Cannot create a role without specifying -policy-name, -policy-id, -service-identity, or -node-identity at least once',
      );
    }
    const body = JSON.stringify({
      Name: textFlag(flags, 'name'),
      Description: textFlag(flags, 'description'),
      ...grants,
    });
    const created = client.json<Role>({ method: 'PUT', path: '/v1/acl/role', body });
    return shown(await failingAs('Failed to create new role', created), rolePrinter, flags);
  },
});

const read = aclCommand({
  synopsis: 'Read an ACL role',
  usage: `Usage: consul acl role read [options] ROLE

  Retrieves and outputs the details of a role, by ID or by name.`,
  flags: [ID, NAME, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Must specify either the -id or -name parameters');
    return shown(await readRole(client, id), rolePrinter, flags);
  },
});

const list = aclCommand({
  synopsis: 'Lists ACL roles',
  usage: 'Usage: consul acl role list [options]\n\n  Lists all the ACL roles.',
  flags: [META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const roles = client.json<Role[]>({ method: 'GET', path: '/v1/acl/roles' });
    return shownList(await failingAs('Failed to retrieve the role list', roles), rolePrinter, flags);
  },
});

const update = aclCommand({
  synopsis: 'Update an ACL role',
  usage: `Usage: consul acl role update [options] -id ROLE

  Changes a role. What is not given stays as it is and lists are added to,
  unless -no-merge is used. -name gives the role another name.`,
  flags: [
    ID,
    NAME,
    DESCRIPTION,
    ...GRANT_FLAGS,
    { name: 'no-merge', kind: 'bool', usage: 'Do not keep anything of the current role.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    if (textFlag(flags, 'id') === '') {
      throw new Error('Cannot update a role without specifying the -id parameter');
    }
    const id = await requiredId(client, flags, '');
    const current = await readRole(client, id);
    const isMerging = !boolFlag(flags, 'no-merge');
    const merging = {
      Policies: isMerging,
      Roles: isMerging,
      ServiceIdentities: isMerging,
      NodeIdentities: isMerging,
    };
    const { Roles: _, ...grants } = changedGrants(current, await grantsFromFlags(client, flags), merging);
    const body = JSON.stringify({
      ...current,
      ...grants,
      Name: optionalTextFlag(flags, 'name') ?? current.Name,
      Description: optionalTextFlag(flags, 'description') ?? (isMerging ? current.Description : ''),
    });
    const updated = client.json<Role>({ method: 'PUT', path: `/v1/acl/role/${id}`, body });
    return shown(await failingAs(`Error updating role "${id}"`, updated), rolePrinter, flags);
  },
});

const remove = aclCommand({
  synopsis: 'Delete an ACL role',
  usage: `Usage: consul acl role delete [options] -id ROLE

  Deletes a role, by ID or by name.`,
  flags: [ID, NAME],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Must specify the -id or -name parameters');
    await failingAs(
      `Error deleting role "${id}"`,
      client.expectOk({ method: 'DELETE', path: `/v1/acl/role/${id}` }),
    );
    return `Role "${id}" deleted successfully\n`;
  },
});

export const roleCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Manage Consul's ACL roles",
  usage: `Usage: consul acl role <subcommand> [options] [args]

  This command has subcommands for managing Consul ACL roles.`,
  commands: { create, delete: remove, list, read, update },
};

async function requiredId(client: ApiClient, flags: ParsedFlags, missing: string): Promise<string> {
  const id = textFlag(flags, 'id');
  const name = textFlag(flags, 'name');
  if (id === '' && name === '') throw new Error(missing);
  const found = id === '' ? roleIdByName(client, name) : roleIdOf(client, id);
  return encodeURIComponent(await failingAs('Error determining role ID', found));
}

async function readRole(client: ApiClient, id: string): Promise<Role> {
  const response = await failingAs(
    `Error reading role "${id}"`,
    client.request({ method: 'GET', path: `/v1/acl/role/${id}` }),
  );
  if (response.status === 404) throw new Error(`Role not found with ID "${id}"`);
  if (response.status !== 200) {
    throw new Error(
      `Error reading role "${id}": Unexpected response code: ${response.status} (${response.body})`,
    );
  }
  return JSON.parse(response.body.toString()) as Role;
}
