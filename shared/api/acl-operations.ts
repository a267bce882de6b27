/** Access control: `/v1/acl/*` and its kin. */

import { type HttpMethod, type Operation, operation, TOKEN_NEEDED } from './operation.ts';
import { anything } from './schema.ts';

/** All of them answer 401 while access control is off. */
export const ACL_OPERATIONS: readonly Operation[] = (
  [
    ['PUT', 'bootstrap', 'Makes the first management token.'],
    ['GET', 'replication', 'How replication is going.'],
    ['GET', 'tokens', 'All tokens.'],
    ['PUT', 'token', 'Makes a token.'],
    ['GET', 'token/self', 'The token of the request.'],
    ['GET', 'token/{accessor}', 'One token.'],
    ['PUT', 'token/{accessor}', 'Changes a token.'],
    ['PUT', 'token/{accessor}/clone', 'Copies a token.'],
    ['DELETE', 'token/{accessor}', 'Deletes a token.'],
    ['GET', 'policies', 'All policies.'],
    ['PUT', 'policy', 'Makes a policy.'],
    ['GET', 'policy/name/{name}', 'One policy by name.'],
    ['GET', 'policy/{id}', 'One policy.'],
    ['PUT', 'policy/{id}', 'Changes a policy.'],
    ['DELETE', 'policy/{id}', 'Deletes a policy.'],
    ['GET', 'roles', 'All roles.'],
    ['PUT', 'role', 'Makes a role.'],
    ['GET', 'role/name/{name}', 'One role by name.'],
    ['GET', 'role/{id}', 'One role.'],
    ['PUT', 'role/{id}', 'Changes a role.'],
    ['DELETE', 'role/{id}', 'Deletes a role.'],
    ['GET', 'auth-methods', 'All auth methods.'],
    ['PUT', 'auth-method', 'Makes an auth method.'],
    ['GET', 'auth-method/{name}', 'One auth method.'],
    ['PUT', 'auth-method/{name}', 'Changes an auth method.'],
    ['DELETE', 'auth-method/{name}', 'Deletes an auth method.'],
    ['GET', 'binding-rules', 'All binding rules.'],
    ['PUT', 'binding-rule', 'Makes a binding rule.'],
    ['GET', 'binding-rule/{id}', 'One binding rule.'],
    ['PUT', 'binding-rule/{id}', 'Changes a binding rule.'],
    ['DELETE', 'binding-rule/{id}', 'Deletes a binding rule.'],
    ['POST', 'login', 'Trades a credential for a token.'],
    ['POST', 'logout', 'Ends a token made by a login.'],
    ['POST', 'rules/translate', 'Old rules in the new language.'],
    ['GET', 'rules/translate/{accessor}', 'Rules of an old token in the new language.'],
    ['PUT', 'create', 'Makes an old token.'],
    ['PUT', 'update', 'Changes an old token.'],
    ['PUT', 'destroy/{id}', 'Deletes an old token.'],
    ['PUT', 'clone/{id}', 'Copies an old token.'],
    ['GET', 'info/{id}', 'One old token.'],
    ['GET', 'list', 'All old tokens.'],
  ] as const
).map(([method, path, summary]) => aclOperation(method, `/v1/acl/${path}`, summary));

export const AUTHORIZE = aclOperation('POST', '/v1/internal/acl/authorize', 'What a token may do.');

function aclOperation(method: HttpMethod, path: string, summary: string): Operation {
  const words = path.replace(/^\/v1\//, '').split(/[^a-z]+/);
  const name = words.filter((word) => word !== '').map((word) => word[0]?.toUpperCase() + word.slice(1));
  const id = `${method.toLowerCase()}${name.join('')}`;
  const takesBody =
    method === 'POST' || (method === 'PUT' && !/^\/v1\/acl\/(?:bootstrap|destroy|clone)/.test(path));
  const body = takesBody ? { body: { schema: anything } } : {};
  return operation(method)(id, path, summary, anything, { ...body, otherwise: TOKEN_NEEDED });
}
