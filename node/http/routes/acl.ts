/** `/v1/acl/*` and its kin while access control is off: every endpoint says so. */

import { ConsulError } from '../../../shared/errors.ts';
import { type Route, route } from '../router.ts';

export function aclDisabled(): ConsulError {
  return new ConsulError('acl-disabled', 401, 'ACL support disabled');
}

const ENDPOINTS: readonly (readonly [methods: string, paths: string])[] = [
  ['PUT', 'bootstrap policy role binding-rule auth-method token create update destroy/ clone/'],
  ['GET', 'replication policies policy/name/ roles role/name/ binding-rules auth-methods tokens token/self'],
  ['GET', 'info/ list rules/translate/'],
  ['GET PUT DELETE', 'policy/ role/ binding-rule/ auth-method/ token/'],
  ['POST', 'login logout rules/translate'],
];

export const aclRoutes: readonly Route[] = [
  ...ENDPOINTS.flatMap(([methods, paths]) =>
    paths.split(' ').map((path) => route(methods, `/v1/acl/${path}`, refuse)),
  ),
  route('POST', '/v1/internal/acl/authorize', refuse),
];

function refuse(): never {
  throw aclDisabled();
}
