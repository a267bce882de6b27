/** `acl`: who may do what. */

import { clientCommand } from '../../client-command.ts';
import type { CommandGroup } from '../../command.ts';
import { readDataArgument } from '../../data-argument.ts';
import { boolFlag, messageOf } from '../../flag-access.ts';
import { aclCommand, FORMAT_FLAG, failingAs, META_FLAG, shown } from './acl-command.ts';
import { authMethodCommand } from './auth-method.ts';
import { bindingRuleCommand } from './binding-rule.ts';
import type { Token } from './objects.ts';
import { policyCommand, translatedRules, translateRules } from './policy.ts';
import { tokenPrinter } from './print.ts';
import { roleCommand } from './role.ts';
import { tokenCommand } from './token.ts';

const bootstrap = aclCommand({
  synopsis: "Bootstrap Consul's ACL system",
  usage: `Usage: consul acl bootstrap [options]

  Creates the first management token. This works once.`,
  flags: [META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const token = client.json<Token & { ID?: string }>({ method: 'PUT', path: '/v1/acl/bootstrap' });
    const { ID: _, ...rest } = await failingAs('Failed ACL bootstrapping', token);
    return shown<Token>(rest, tokenPrinter, flags);
  },
});

const TOKEN_TYPES = ['default', 'agent', 'master', 'replication', 'agent_recovery'];

const setAgentToken = clientCommand({
  synopsis: 'Assign tokens for the Consul Agent to use',
  usage: `Usage: consul acl set-agent-token [options] TYPE TOKEN

  Sets the token that the agent uses from now on, until it is started again
  unless the agent keeps tokens. TYPE is one of

      default      for requests that come without a token
      agent        for what the agent itself does in the catalog
      master       for the agent's own API when no server can be reached
      replication  for replication of ACLs from the primary datacenter`,
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    const [type = '', token = ''] = flags.rest;
    const count = flags.rest.length;
    const problem =
      count === 0
        ? 'Error! Missing TYPE and TOKEN arguments'
        : count === 1
          ? 'Error! Missing TOKEN argument'
          : count > 2
            ? `Error! Too many arguments: expected 2 got ${count}`
            : TOKEN_TYPES.includes(type)
              ? undefined
              : 'Unknown token type';
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    try {
      const kind = type === 'master' ? 'agent_master' : type;
      const body = JSON.stringify({ Token: token });
      await client.expectOk({ method: 'PUT', path: `/v1/agent/token/${kind}`, body });
    } catch (error) {
      io.err(`Failed to set ACL token ${JSON.stringify(type)}: ${messageOf(error)}\n`);
      return 1;
    }
    io.out(`ACL token ${JSON.stringify(type)} set successfully\n`);
    return 0;
  },
});

const translate = clientCommand({
  synopsis: 'Translate the legacy rule syntax into the current syntax',
  usage: `Usage: consul acl translate-rules [options] TRANSLATE

  Translates rules of the legacy ACL syntax. TRANSLATE is the rules, @file,
  - for standard input, or the ID of a legacy token.`,
  flags: [
    { name: 'token-accessor', kind: 'bool', usage: 'TRANSLATE is the accessor ID of a legacy token.' },
    { name: 'token-secret', kind: 'bool', usage: 'TRANSLATE is the secret ID of a legacy token.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const isAccessor = boolFlag(flags, 'token-accessor');
    const isSecret = boolFlag(flags, 'token-secret');
    const [given] = flags.rest;
    if (given === undefined) {
      io.err('Error! Missing TRANSLATE argument\n');
      return 1;
    }
    if (isAccessor && isSecret) {
      io.err('Error - cannot specify both -token-secret and -token-accessor\n');
      return 1;
    }
    try {
      const rules =
        isAccessor || isSecret
          ? await translatedRules(client, given, isSecret)
          : await translateRules(client, Buffer.from(await readDataArgument(given, io)).toString());
      io.out(`${rules}\n`);
      return 0;
    } catch (error) {
      io.err(`Error translating rules: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

export const aclCommands: CommandGroup = {
  kind: 'group',
  synopsis: "Interact with Consul's ACLs",
  usage: `Usage: consul acl <subcommand> [options] [args]

  This command has subcommands for interacting with Consul's ACLs.`,
  commands: {
    'auth-method': authMethodCommand,
    'binding-rule': bindingRuleCommand,
    bootstrap,
    policy: policyCommand,
    role: roleCommand,
    'set-agent-token': setAgentToken,
    token: tokenCommand,
    'translate-rules': translate,
  },
};
