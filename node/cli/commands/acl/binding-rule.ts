/** `acl binding-rule`: what the tokens of an auth method may do. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import { type ApiClient, UnexpectedStatusError } from '../../api-client.ts';
import type { CommandGroup } from '../../command.ts';
import { boolFlag, messageOf, optionalTextFlag, textFlag } from '../../flag-access.ts';
import {
  aclCommand,
  FORMAT_FLAG,
  failingAs,
  META_FLAG,
  shown,
  shownList,
  UsageError,
} from './acl-command.ts';
import { bindingRuleIdOf, isNotFound } from './lookup.ts';
import type { BindingRule } from './objects.ts';
import { bindingRulePrinter } from './print.ts';

const ID: FlagSpec = { name: 'id', kind: 'string', usage: 'ID of the binding rule, or its beginning.' };
const SETTING_FLAGS: readonly FlagSpec[] = [
  {
    name: 'bind-name',
    kind: 'string',
    usage: 'Name to bind on match, with placeholders for fields of the credential.',
  },
  { name: 'bind-type', kind: 'string', usage: 'What is bound: service, node or role. Default service.' },
  { name: 'description', kind: 'string', usage: 'Description of the binding rule.' },
  { name: 'selector', kind: 'string', usage: 'Expression that decides which credentials this rule is for.' },
];

const create = aclCommand({
  synopsis: 'Create an ACL binding rule',
  usage: `Usage: consul acl binding-rule create -method METHOD -bind-name NAME [options]

  Creates a binding rule.`,
  flags: [
    { name: 'method', kind: 'string', usage: 'Auth method that the binding rule is for.' },
    ...SETTING_FLAGS,
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    const missing = ['method', 'bind-name'].find((name) => textFlag(flags, name) === '');
    if (missing !== undefined) throw new UsageError(`Missing required '-${missing}' flag`);
    const body = JSON.stringify({
      Description: textFlag(flags, 'description'),
      AuthMethod: textFlag(flags, 'method'),
      BindType: textFlag(flags, 'bind-type', 'service'),
      BindName: textFlag(flags, 'bind-name'),
      Selector: textFlag(flags, 'selector'),
    });
    const created = client.json<BindingRule>({ method: 'PUT', path: '/v1/acl/binding-rule', body });
    return shown(await failingAs('Failed to create new binding rule', created), bindingRulePrinter, flags);
  },
});

const read = aclCommand({
  synopsis: 'Read an ACL binding rule',
  usage: 'Usage: consul acl binding-rule read -id ID [options]\n\n  Shows a binding rule.',
  flags: [ID, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Must specify the -id parameter');
    return shown(await readRule(client, id), bindingRulePrinter, flags);
  },
});

const list = aclCommand({
  synopsis: 'Lists ACL binding rules',
  usage: 'Usage: consul acl binding-rule list [options]\n\n  Lists all the binding rules.',
  flags: [
    { name: 'method', kind: 'string', usage: 'Only rules of this auth method.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    const query = { authmethod: optionalTextFlag(flags, 'method') };
    const rules = client.json<BindingRule[]>({ method: 'GET', path: '/v1/acl/binding-rules', query });
    return shownList(
      await failingAs('Failed to retrieve the binding rule list', rules),
      bindingRulePrinter,
      flags,
    );
  },
});

const update = aclCommand({
  synopsis: 'Update an ACL binding rule',
  usage: `Usage: consul acl binding-rule update -id ID [options]

  Changes a binding rule. What is not given stays as it is, unless -no-merge
  is used.`,
  flags: [
    ID,
    ...SETTING_FLAGS,
    { name: 'no-merge', kind: 'bool', usage: 'Do not keep anything of the current binding rule.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags) {
    const id = await requiredId(
      client,
      flags,
      'Cannot update a binding rule without specifying the -id parameter',
    );
    const current = await readRule(client, id);
    const isMerging = !boolFlag(flags, 'no-merge');
    const setting = (flag: string, before: string) =>
      optionalTextFlag(flags, flag) ?? (isMerging ? before : '');
    const body = JSON.stringify({
      ...current,
      Description: setting('description', current.Description),
      BindType: setting('bind-type', current.BindType) || 'service',
      BindName: setting('bind-name', current.BindName),
      Selector: setting('selector', current.Selector),
    });
    const updated = client.json<BindingRule>({ method: 'PUT', path: `/v1/acl/binding-rule/${id}`, body });
    return shown(await failingAs(`Error updating binding rule "${id}"`, updated), bindingRulePrinter, flags);
  },
});

const remove = aclCommand({
  synopsis: 'Delete an ACL binding rule',
  usage: 'Usage: consul acl binding-rule delete -id ID [options]\n\n  Deletes a binding rule.',
  flags: [ID],
  async act(client, flags) {
    const id = await requiredId(client, flags, 'Must specify the -id parameter');
    const path = `/v1/acl/binding-rule/${id}`;
    await failingAs(`Error deleting binding rule "${id}"`, client.expectOk({ method: 'DELETE', path }));
    return `Binding rule "${id}" deleted successfully\n`;
  },
});

export const bindingRuleCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Manage Consul's ACL binding rules",
  usage: `Usage: consul acl binding-rule <subcommand> [options] [args]

  This command has subcommands for managing Consul ACL binding rules.`,
  commands: { create, delete: remove, list, read, update },
};

async function requiredId(client: ApiClient, flags: ParsedFlags, missing: string): Promise<string> {
  const given = textFlag(flags, 'id');
  if (given === '') throw new Error(missing);
  const id = await failingAs('Error determining binding rule ID', bindingRuleIdOf(client, given));
  return encodeURIComponent(id);
}

async function readRule(client: ApiClient, id: string): Promise<BindingRule> {
  try {
    return await client.json<BindingRule>({ method: 'GET', path: `/v1/acl/binding-rule/${id}` });
  } catch (error) {
    if (error instanceof UnexpectedStatusError && isNotFound(error)) {
      throw new Error(`Binding rule not found with ID "${id}"`);
    }
    throw new Error(`Error reading binding rule "${id}": ${messageOf(error)}`);
  }
}
