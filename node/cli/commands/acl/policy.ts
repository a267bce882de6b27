/** `acl policy`: named sets of rules. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import type { CliIo, CommandGroup } from '../../command.ts';
import { readDataArgument } from '../../data-argument.ts';
import { boolFlag, listFlag, optionalTextFlag, textFlag } from '../../flag-access.ts';
import {
  aclCommand,
  FORMAT_FLAG,
  failingAs,
  META_FLAG,
  shown,
  shownList,
  UsageError,
} from './acl-command.ts';
import { policyIdByName, policyIdOf } from './lookup.ts';
import type { Policy } from './objects.ts';
import { policyPrinter } from './print.ts';

const ID: FlagSpec = { name: 'id', kind: 'string', usage: 'ID of the policy, or its beginning.' };
const NAME: FlagSpec = { name: 'name', kind: 'string', usage: 'Name of the policy.' };
const DESCRIPTION: FlagSpec = { name: 'description', kind: 'string', usage: 'Description of the policy.' };
const RULES: FlagSpec = {
  name: 'rules',
  kind: 'string',
  usage: 'The rules. "@file" reads them from a file, "-" from standard input.',
};
const DATACENTERS: FlagSpec = {
  name: 'valid-datacenter',
  kind: 'strings',
  usage: 'Datacenter that the policy counts in. Can be specified multiple times. Default: all.',
};

const create = aclCommand({
  synopsis: 'Create an ACL policy',
  usage: `Usage: consul acl policy create -name NAME [options]

  Creates a policy.

      $ consul acl policy create -name "new-policy" -rules @rules.hcl`,
  flags: [
    NAME,
    DESCRIPTION,
    RULES,
    DATACENTERS,
    {
      name: 'from-token',
      kind: 'string',
      usage: 'Accessor ID of the legacy token whose rules, translated, make the policy.',
    },
    { name: 'token-secret', kind: 'bool', usage: '-from-token is the secret ID of the token.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags, io) {
    if (textFlag(flags, 'name') === '') throw new UsageError("Missing require '-name' flag");
    const fromToken = textFlag(flags, 'from-token');
    if (fromToken !== '' && textFlag(flags, 'rules') !== '') {
      throw new Error('Cannot specify both -rules and -from-token');
    }
    const isSecret = boolFlag(flags, 'token-secret');
    const rules = fromToken === '' ? rulesOf(flags, io) : translatedRules(client, fromToken, isSecret);
    const body = JSON.stringify({
      Name: textFlag(flags, 'name'),
      Description: textFlag(flags, 'description'),
      Datacenters: listFlag(flags, 'valid-datacenter'),
      Rules: await failingAs('Error loading rules', rules),
    });
    const created = client.json<Policy>({ method: 'PUT', path: '/v1/acl/policy', body });
    return shown(await failingAs('Failed to create new policy', created), policyPrinter, flags);
  },
});

const read = aclCommand({
  synopsis: 'Read an ACL policy',
  usage: `Usage: consul acl policy read [options] POLICY

  Retrieves and outputs the details of a policy.

      $ consul acl policy read -name my-policy`,
  flags: [ID, NAME, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const id = await requiredId(client, flags);
    return shown(
      await failingAs(`Error reading policy "${id}"`, readPolicy(client, id)),
      policyPrinter,
      flags,
    );
  },
});

const list = aclCommand({
  synopsis: 'Lists ACL policies',
  usage: 'Usage: consul acl policy list [options]\n\n  Lists all the ACL policies.',
  flags: [META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const policies = client.json<Policy[]>({ method: 'GET', path: '/v1/acl/policies' });
    return shownList(await failingAs('Failed to retrieve the policy list', policies), policyPrinter, flags);
  },
});

const update = aclCommand({
  synopsis: 'Update an ACL policy',
  usage: `Usage: consul acl policy update [options] -id POLICY

  Changes a policy. What is not given stays as it is, unless -no-merge is
  used. With -id, -name gives the policy another name.

      $ consul acl policy update -name "other-policy" -rules @rules.hcl`,
  flags: [
    ID,
    NAME,
    DESCRIPTION,
    RULES,
    DATACENTERS,
    { name: 'no-merge', kind: 'bool', usage: 'Do not keep anything of the current policy.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags, io) {
    const id = await requiredId(client, flags);
    const rules = flags.values.has('rules')
      ? await failingAs('Error loading rules', rulesOf(flags, io))
      : undefined;
    const given = {
      Name: optionalTextFlag(flags, 'name'),
      Description: optionalTextFlag(flags, 'description'),
      Rules: rules,
      Datacenters: flags.values.has('valid-datacenter') ? listFlag(flags, 'valid-datacenter') : undefined,
    };
    const isMerging = !boolFlag(flags, 'no-merge');
    const current = isMerging
      ? await failingAs(`Error reading policy "${id}"`, readPolicy(client, id))
      : { Description: '', Rules: '' };
    const changed = Object.entries(given).filter(([, value]) => value !== undefined);
    const body = JSON.stringify({ ...current, ID: id, ...Object.fromEntries(changed) });
    const updated = client.json<Policy>({ method: 'PUT', path: `/v1/acl/policy/${id}`, body });
    return shown(await failingAs(`Error updating policy "${id}"`, updated), policyPrinter, flags);
  },
});

const remove = aclCommand({
  synopsis: 'Delete an ACL policy',
  usage: `Usage: consul acl policy delete [options] -id POLICY

  Deletes a policy, by ID or by name.`,
  flags: [ID, NAME],
  async act(client, flags) {
    const id = await requiredId(client, flags);
    await failingAs(
      `Error deleting policy "${id}"`,
      client.expectOk({ method: 'DELETE', path: `/v1/acl/policy/${id}` }),
    );
    return `Policy "${id}" deleted successfully\n`;
  },
});

export const policyCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Manage Consul's ACL policies",
  usage: `Usage: consul acl policy <subcommand> [options] [args]

  This command has subcommands for managing Consul ACL policies.`,
  commands: { create, delete: remove, list, read, update },
};

async function requiredId(client: ApiClient, flags: ParsedFlags): Promise<string> {
  const id = textFlag(flags, 'id');
  const name = textFlag(flags, 'name');
  if (id === '' && name === '') throw new Error('Must specify either the -id or -name parameters');
  const found = id === '' ? policyIdByName(client, name) : policyIdOf(client, id);
  return encodeURIComponent(await failingAs('Error determining policy ID', found));
}

function readPolicy(client: ApiClient, id: string): Promise<Policy> {
  return client.json<Policy>({ method: 'GET', path: `/v1/acl/policy/${id}` });
}

async function rulesOf(flags: ParsedFlags, io: CliIo): Promise<string> {
  return Buffer.from(await readDataArgument(textFlag(flags, 'rules'), io)).toString();
}

/** The rules of a legacy token in today's form. @throws Error */
export async function translatedRules(client: ApiClient, token: string, isSecret: boolean): Promise<string> {
  const id = encodeURIComponent(token);
  if (!isSecret) {
    const answer = await client.expectOk({ method: 'GET', path: `/v1/acl/rules/translate/${id}` });
    return answer.body.toString();
  }
  const found = await client.json<{ Rules: string }[]>({ method: 'GET', path: `/v1/acl/info/${id}` });
  const [legacy] = found;
  if (legacy === undefined) throw new Error('ACL not found');
  return translateRules(client, legacy.Rules);
}

/** @throws Error */
export async function translateRules(client: ApiClient, rules: string): Promise<string> {
  const answer = await client.expectOk({ method: 'POST', path: '/v1/acl/rules/translate', body: rules });
  return answer.body.toString();
}
