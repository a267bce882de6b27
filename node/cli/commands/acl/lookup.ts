/** Finds ACL objects by name, or by the beginning of their ID. */

import { type ApiClient, UnexpectedStatusError } from '../../api-client.ts';
import { encodePath } from '../../client-command.ts';
import type { Link, Policy, Role, Token } from './objects.ts';

const ANONYMOUS_ID = '00000000-0000-0000-0000-000000000002';
const UUID_LENGTH = 36;

/** The ID that begins with `given`, or `given` itself when it is whole. @throws Error */
export async function tokenIdOf(client: ApiClient, given: string): Promise<string> {
  if (given === 'anonymous') return ANONYMOUS_ID;
  if (given.length === UUID_LENGTH) return given;
  const tokens = await client.json<Token[]>({ method: 'GET', path: '/v1/acl/tokens' });
  return only(
    'token',
    given,
    tokens.map((token) => token.AccessorID),
  );
}

/** @throws Error */
export async function policyIdOf(client: ApiClient, given: string): Promise<string> {
  if (given.length === UUID_LENGTH) return given;
  const policies = await client.json<Policy[]>({ method: 'GET', path: '/v1/acl/policies' });
  return only(
    'policy',
    given,
    policies.map((policy) => policy.ID),
  );
}

/** @throws Error `No such policy with name x` */
export function policyIdByName(client: ApiClient, name: string): Promise<string> {
  return idByName(client, 'policy', name);
}

/** @throws Error */
export async function roleIdOf(client: ApiClient, given: string): Promise<string> {
  if (given.length === UUID_LENGTH) return given;
  const roles = await client.json<Role[]>({ method: 'GET', path: '/v1/acl/roles' });
  return only(
    'role',
    given,
    roles.map((role) => role.ID),
  );
}

/** @throws Error `No such role with name x` */
export function roleIdByName(client: ApiClient, name: string): Promise<string> {
  return idByName(client, 'role', name);
}

/** @throws Error `No such binding rule ID with prefix: x` and the like */
export async function bindingRuleIdOf(client: ApiClient, given: string): Promise<string> {
  if (given.length === UUID_LENGTH) return given;
  const rules = await client.json<{ ID: string }[]>({ method: 'GET', path: '/v1/acl/binding-rules' });
  return only(
    'rule',
    given,
    rules.map((rule) => rule.ID),
  );
}

function only(what: string, prefix: string, ids: readonly string[]): string {
  const [first, second] = ids.filter((id) => id.startsWith(prefix));
  if (first === undefined) throw new Error(`No such ${what} ID with prefix: ${prefix}`);
  if (second !== undefined) throw new Error(`Partial ${what} ID is not unique`);
  return first;
}

async function idByName(client: ApiClient, what: 'policy' | 'role', name: string): Promise<string> {
  try {
    const found = await client.json<Link | null>({
      method: 'GET',
      path: `/v1/acl/${what}/name/${encodePath(name)}`,
    });
    if (found?.ID !== undefined) return found.ID;
  } catch (error) {
    if (!(error instanceof UnexpectedStatusError) || !isNotFound(error)) throw error;
  }
  throw new Error(`No such ${what} with name ${name}`);
}

/** 404, or the 403 with which the servers say that an ACL object is not there. */
export function isNotFound(error: UnexpectedStatusError): boolean {
  return error.status === 404 || (error.status === 403 && error.body.includes('ACL not found'));
}
