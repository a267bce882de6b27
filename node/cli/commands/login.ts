/** `login` and `logout`: a token from an auth method, and its end. */

import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import type { ParsedFlags } from '../../config/flags.ts';
import { clientCommand } from '../client-command.ts';
import { messageOf, pairsFlag, textFlag } from '../flag-access.ts';
import { fileErrorText } from '../system-text.ts';

export const loginCommand = clientCommand({
  synopsis: 'Login to Consul using an auth method',
  usage: `Usage: consul login [options]

  The login command will exchange the provided third party credentials with
  the requested auth method for a newly minted Consul ACL token. The
  companion command "consul logout" should be used to destroy any tokens
  created this way to avoid a resource leak.

      $ consul login -method=minikube -bearer-token-file=jwt -token-sink-file=token`,
  flags: [
    {
      name: 'bearer-token-file',
      kind: 'string',
      usage: 'Path to a file containing a secret bearer token to use with this auth method.',
    },
    {
      name: 'meta',
      kind: 'pairs',
      usage: 'Metadata to set on the token, formatted as key=value. Can be specified multiple times.',
    },
    { name: 'method', kind: 'string', usage: 'Name of the auth method to login to.' },
    {
      name: 'token-sink-file',
      kind: 'string',
      usage: 'The most recent token secret is kept in this file.',
    },
    { name: 'type', kind: 'string', usage: 'Type of the auth method. Only types with a bearer token.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const problem = loginProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const tokenFile = textFlag(flags, 'bearer-token-file');
    let bearer: string;
    try {
      bearer = (await readFile(tokenFile, 'utf8')).trim();
    } catch (error) {
      io.err(`${fileErrorText('open', tokenFile, error)}\n`);
      return 1;
    }
    if (bearer === '') {
      io.err(`No bearer token found in ${tokenFile}\n`);
      return 1;
    }
    let secret: string;
    try {
      const body = {
        AuthMethod: textFlag(flags, 'method'),
        BearerToken: bearer,
        Meta: pairsFlag(flags, 'meta'),
      };
      const token = await client.json<{ SecretID: string }>({
        method: 'POST',
        path: '/v1/acl/login',
        body: JSON.stringify(body),
      });
      secret = token.SecretID;
    } catch (error) {
      io.err(`Error logging in: ${messageOf(error)}\n`);
      return 1;
    }
    try {
      await writeSecret(textFlag(flags, 'token-sink-file'), secret);
      return 0;
    } catch (error) {
      io.err(`Error writing token to file sink: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

export const logoutCommand = clientCommand({
  synopsis: 'Destroy a Consul token created with login',
  usage: `Usage: consul logout [options]

  The logout command will destroy the provided token if it was created from
  "consul login".`,
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (flags.rest.length > 0) {
      io.err('Should have no non-flag arguments.\n');
      return 1;
    }
    try {
      await client.expectOk({ method: 'POST', path: '/v1/acl/logout' });
      return 0;
    } catch (error) {
      io.err(`Error destroying token: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

function loginProblem(flags: ParsedFlags): string | undefined {
  if (flags.rest.length > 0) return 'Should have no non-flag arguments.';
  const missing = ['method', 'token-sink-file', 'bearer-token-file'].find(
    (name) => textFlag(flags, name) === '',
  );
  return missing === undefined ? undefined : `Missing required '-${missing}' flag`;
}

/** Whole or not at all, and readable by its owner only. */
async function writeSecret(path: string, secret: string): Promise<void> {
  const unfinished = `${path}.tmp`;
  await writeFile(unfinished, secret, { mode: 0o600 });
  // The mode above counts only for a new file.
  await chmod(unfinished, 0o600);
  await rename(unfinished, path);
}
