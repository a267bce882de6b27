/** `acl token`: the secrets that requests come with. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import type { CommandGroup } from '../../command.ts';
import { boolFlag, optionalTextFlag, textFlag } from '../../flag-access.ts';
import { aclCommand, FORMAT_FLAG, failingAs, META_FLAG, shown, shownList } from './acl-command.ts';
import {
  changedGrants,
  grantsFromFlags,
  IDENTITY_FLAGS,
  isEmptyGrants,
  POLICY_FLAGS,
  ROLE_FLAGS,
} from './grants.ts';
import { tokenIdOf } from './lookup.ts';
import type { Token } from './objects.ts';
import { tokenPrinter } from './print.ts';

const ID: FlagSpec = {
  name: 'id',
  kind: 'string',
  usage: 'Accessor ID of the token, or its beginning. "anonymous" is the anonymous token.',
};
const DESCRIPTION: FlagSpec = { name: 'description', kind: 'string', usage: 'Description of the token.' };
const GRANT_FLAGS = [...POLICY_FLAGS, ...ROLE_FLAGS, ...IDENTITY_FLAGS];

const create = aclCommand({
  synopsis: 'Create an ACL token',
  usage: `Usage: consul acl token create [options]

  Creates a token that may do what its policies, roles and identities allow.

      $ consul acl token create -description "replication" -policy-name "token-replication"`,
  flags: [
    { name: 'accessor', kind: 'string', usage: 'Create the token with this accessor ID. Default: random.' },
    { name: 'secret', kind: 'string', usage: 'Create the token with this secret ID. Default: random.' },
    { name: 'local', kind: 'bool', usage: 'Create the token for this datacenter only.' },
    { name: 'expires-ttl', kind: 'duration', usage: 'How long the token is valid, such as 1h.' },
    DESCRIPTION,
    ...GRANT_FLAGS,
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    const grants = await grantsFromFlags(client, flags);
    if (isEmptyGrants(grants)) {
      throw new Error(
        'Cannot create a token without specifying -policy-name, -policy-id, -role-name, -role-id, -service-identity, or -node-identity at least once',
      );
    }
    const body = JSON.stringify({
      AccessorID: optionalTextFlag(flags, 'accessor'),
      SecretID: optionalTextFlag(flags, 'secret'),
      Description: textFlag(flags, 'description'),
      Local: boolFlag(flags, 'local'),
      ExpirationTTL: optionalTextFlag(flags, 'expires-ttl'),
      ...grants,
    });
    const created = client.json<Token>({ method: 'PUT', path: '/v1/acl/token', body });
    return shown(await failingAs('Failed to create new token', created), tokenPrinter, flags);
  },
});

const read = aclCommand({
  synopsis: 'Read an ACL token',
  usage: `Usage: consul acl token read [options] -id TOKENID

  Retrieves and outputs the details of a token.

      $ consul acl token read -id fdabbcb5-9de5-4b1a-961f-77214ae88cba
      $ consul acl token read -self`,
  flags: [
    ID,
    { name: 'self', kind: 'bool', usage: 'Read the token that the request comes with.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    if (boolFlag(flags, 'self')) {
      const self = client.json<Token>({ method: 'GET', path: '/v1/acl/token/self' });
      return shown(await failingAs('Error reading token', self), tokenPrinter, flags);
    }
    const id = await requiredId(client, flags, 'Must specify the -id parameter');
    return shown(await failingAs(`Error reading token "${id}"`, readToken(client, id)), tokenPrinter, flags);
  },
});

const list = aclCommand({
  synopsis: 'List ACL tokens',
  usage: 'Usage: consul acl token list [options]\n\n  Lists all the ACL tokens.',
  flags: [META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const tokens = client.json<Token[]>({ method: 'GET', path: '/v1/acl/tokens' });
    return shownList(await failingAs('Failed to retrieve the token list', tokens), tokenPrinter, flags);
  },
});

const update = aclCommand({
  synopsis: 'Update an ACL token',
  usage: `Usage: consul acl token update -id TOKENID [options]

  Changes a token. Lists of policies, roles and identities are replaced by
  what is given here; with the -merge-… flags it is added to them.

      $ consul acl token update -id abcd -description "replication" -policy-name "token-replication" -merge-policies`,
  flags: [
    ID,
    DESCRIPTION,
    ...GRANT_FLAGS,
    { name: 'merge-policies', kind: 'bool', usage: 'Keep the policies that the token has already.' },
    { name: 'merge-roles', kind: 'bool', usage: 'Keep the roles that the token has already.' },
    {
      name: 'merge-service-identities',
      kind: 'bool',
      usage: 'Keep the service identities that the token has already.',
    },
    {
      name: 'merge-node-identities',
      kind: 'bool',
      usage: 'Keep the node identities that the token has already.',
    },
    { name: 'upgrade-legacy', kind: 'bool', usage: 'Make a legacy token one of today, without its rules.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Cannot update a token without specifying the -id parameter');
    const current = await failingAs('Error when retrieving current token', readToken(client, id));
    const isLegacy = (current.Rules ?? '') !== '';
    const isUpgrade = boolFlag(flags, 'upgrade-legacy');
    if (isUpgrade && !isLegacy) throw new Error("Can't use -upgrade-legacy on a non-legacy token");
    const changed = changedGrants(current, await grantsFromFlags(client, flags), {
      Policies: boolFlag(flags, 'merge-policies'),
      Roles: boolFlag(flags, 'merge-roles'),
      ServiceIdentities: boolFlag(flags, 'merge-service-identities'),
      NodeIdentities: boolFlag(flags, 'merge-node-identities'),
    });
    const body = JSON.stringify({
      ...current,
      ...changed,
      ...(isUpgrade ? { Rules: undefined } : {}),
      Description: optionalTextFlag(flags, 'description') ?? current.Description,
    });
    const updated = client.json<Token>({ method: 'PUT', path: `/v1/acl/token/${id}`, body });
    return shown(await failingAs(`Failed to update token ${id}`, updated), tokenPrinter, flags);
  },
});

const clone = aclCommand({
  synopsis: 'Clone an ACL token',
  usage: `Usage: consul acl token clone [options] -id TOKENID

  Makes a token that may do the same as another, and shows it.

      $ consul acl token clone -id abcd -description "the copy"`,
  flags: [ID, DESCRIPTION, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Cannot update a token without specifying the -id parameter');
    const body = JSON.stringify({ Description: textFlag(flags, 'description') });
    const copy = client.json<Token>({ method: 'PUT', path: `/v1/acl/token/${id}/clone`, body });
    return shown(await failingAs('Error cloning token', copy), tokenPrinter, flags);
  },
});

const remove = aclCommand({
  synopsis: 'Delete an ACL token',
  usage: `Usage: consul acl token delete [options] -id TOKENID

  Deletes a token. Deleting one that is not there succeeds.`,
  flags: [ID],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Must specify the -id parameter');
    await failingAs(
      `Error deleting token "${id}"`,
      client.expectOk({ method: 'DELETE', path: `/v1/acl/token/${id}` }),
    );
    return `Token "${id}" deleted successfully\n`;
  },
});

export const tokenCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Manage Consul's ACL tokens",
  usage: `Usage: consul acl token <subcommand> [options] [args]

  This command has subcommands for managing Consul ACL tokens.`,
  commands: { clone, create, delete: remove, list, read, update },
};

async function requiredId(client: ApiClient, flags: ParsedFlags, missing: string): Promise<string> {
  const given = textFlag(flags, 'id');
  if (given === '') throw new Error(missing);
  return encodeURIComponent(await failingAs('Error determining token ID', tokenIdOf(client, given)));
}

function readToken(client: ApiClient, id: string): Promise<Token> {
  return client.json<Token>({ method: 'GET', path: `/v1/acl/token/${id}` });
}
