/** The flags that say what a token or role may do, and how they change what is there. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { listFlag } from '../../flag-access.ts';
import { failingAs } from './acl-command.ts';
import { policyIdOf, roleIdOf } from './lookup.ts';
import type { Grants, Link, NodeIdentity, ServiceIdentity } from './objects.ts';

export const POLICY_FLAGS: readonly FlagSpec[] = [
  {
    name: 'policy-id',
    kind: 'strings',
    usage: 'ID of a policy to use, or its beginning. Can be specified multiple times.',
  },
  {
    name: 'policy-name',
    kind: 'strings',
    usage: 'Name of a policy to use. Can be specified multiple times.',
  },
];
export const ROLE_FLAGS: readonly FlagSpec[] = [
  {
    name: 'role-id',
    kind: 'strings',
    usage: 'ID of a role to use, or its beginning. Can be specified multiple times.',
  },
  { name: 'role-name', kind: 'strings', usage: 'Name of a role to use. Can be specified multiple times.' },
];
export const IDENTITY_FLAGS: readonly FlagSpec[] = [
  {
    name: 'service-identity',
    kind: 'strings',
    usage:
      'Name of a service identity to use, in the form name or name:datacenter,datacenter. Can be specified multiple times.',
  },
  {
    name: 'node-identity',
    kind: 'strings',
    usage: 'Name of a node identity to use, in the form name:datacenter. Can be specified multiple times.',
  },
];

/** What the flags say. Lists that are not named are empty. @throws Error */
export async function grantsFromFlags(client: ApiClient, flags: ParsedFlags): Promise<Required<Grants>> {
  const policyIds = listFlag(flags, 'policy-id').map((id) =>
    failingAs(`Error resolving policy ID ${id}`, policyIdOf(client, id)),
  );
  const roleIds = listFlag(flags, 'role-id').map((id) =>
    failingAs(`Error resolving role ID ${id}`, roleIdOf(client, id)),
  );
  const [policies, roles] = await Promise.all([Promise.all(policyIds), Promise.all(roleIds)]);
  return {
    Policies: links(listFlag(flags, 'policy-name'), policies),
    Roles: links(listFlag(flags, 'role-name'), roles),
    ServiceIdentities: listFlag(flags, 'service-identity').map(parseServiceIdentity),
    NodeIdentities: listFlag(flags, 'node-identity').map(parseNodeIdentity),
  };
}

export function isEmptyGrants(grants: Grants): boolean {
  return [grants.Policies, grants.Roles, grants.ServiceIdentities, grants.NodeIdentities].every(
    (list) => (list ?? []).length === 0,
  );
}

/** Which lists keep what they hold already. */
export type Merging = Readonly<Record<keyof Grants, boolean>>;

/** `current` changed by `given`: each list replaced, or added to. */
export function changedGrants(current: Grants, given: Required<Grants>, merging: Merging): Required<Grants> {
  return {
    Policies: changedList(current.Policies, given.Policies, merging.Policies, isSameLink),
    Roles: changedList(current.Roles, given.Roles, merging.Roles, isSameLink),
    ServiceIdentities: changedList(
      current.ServiceIdentities,
      given.ServiceIdentities,
      merging.ServiceIdentities,
      (a, b) => a.ServiceName === b.ServiceName,
    ),
    NodeIdentities: changedList(
      current.NodeIdentities,
      given.NodeIdentities,
      merging.NodeIdentities,
      (a, b) => a.NodeName === b.NodeName && a.Datacenter === b.Datacenter,
    ),
  };
}

function changedList<T>(
  current: readonly T[] | null | undefined,
  given: readonly T[] | null,
  isMerging: boolean,
  isSame: (a: T, b: T) => boolean,
): readonly T[] {
  const added = given ?? [];
  if (!isMerging) return added;
  const kept = current ?? [];
  return [...kept, ...added.filter((item) => !kept.some((other) => isSame(other, item)))];
}

function isSameLink(a: Link, b: Link): boolean {
  return (b.ID !== undefined && a.ID === b.ID) || (b.Name !== undefined && a.Name === b.Name);
}

function links(names: readonly string[], ids: readonly string[]): Link[] {
  return [...names.map((Name) => ({ Name })), ...ids.map((ID) => ({ ID }))];
}

function parseServiceIdentity(text: string): ServiceIdentity {
  const [name = '', datacenters, ...extra] = text.split(':');
  if (extra.length > 0) throw new Error(`Malformed -service-identity argument: ${JSON.stringify(text)}`);
  return {
    ServiceName: name,
    ...(datacenters === undefined ? {} : { Datacenters: datacenters.split(',') }),
  };
}

function parseNodeIdentity(text: string): NodeIdentity {
  const [name = '', datacenter, ...extra] = text.split(':');
  if (datacenter === undefined || extra.length > 0) {
    throw new Error(`Malformed -node-identity argument: ${JSON.stringify(text)}`);
  }
  return { NodeName: name, Datacenter: datacenter };
}
