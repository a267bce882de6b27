/** Whether what the catalog holds is what this agent wants it to hold. */

import type { HealthCheck, Node, Service } from '../../../shared/types/v1.ts';

/** Everything but the indexes. Null, absent and empty count as the same; the order of tags matters. */
export function isSameService(a: Service, b: Service): boolean {
  return (
    a.ID === b.ID &&
    a.Service === b.Service &&
    a.Port === b.Port &&
    a.Address === b.Address &&
    (a.Kind ?? '') === (b.Kind ?? '') &&
    a.EnableTagOverride === b.EnableTagOverride &&
    a.Weights.Passing === b.Weights.Passing &&
    a.Weights.Warning === b.Weights.Warning &&
    isSameValue(a.Tags, b.Tags) &&
    isSameValue(a.Meta, b.Meta) &&
    isSameValue(a.TaggedAddresses, b.TaggedAddresses) &&
    isSameValue(a.Proxy, b.Proxy) &&
    (a.Connect.Native ?? false) === (b.Connect.Native ?? false)
  );
}

export interface CheckComparison {
  /** False when output travels on its own, slower schedule. */
  readonly compareOutput: boolean;
  /** False for services whose tags may be changed in the catalog. */
  readonly compareTags: boolean;
}

export function isSameCheck(a: HealthCheck, b: HealthCheck, comparison: CheckComparison): boolean {
  return (
    a.CheckID === b.CheckID &&
    a.Name === b.Name &&
    a.Status === b.Status &&
    a.Notes === b.Notes &&
    a.ServiceID === b.ServiceID &&
    a.ServiceName === b.ServiceName &&
    a.Type === b.Type &&
    (!comparison.compareOutput || a.Output === b.Output) &&
    (!comparison.compareTags || isSameValue(a.ServiceTags, b.ServiceTags)) &&
    isSameValue(a.Definition, b.Definition)
  );
}

export interface NodeWish {
  readonly id: string;
  readonly taggedAddresses: Readonly<Record<string, string>>;
  readonly meta: Readonly<Record<string, string>>;
}

/** ID, tagged addresses and meta; the leader sees to the address. */
export function isSameNode(wish: NodeWish, node: Node): boolean {
  return (
    wish.id === node.ID &&
    isSameValue(wish.taggedAddresses, node.TaggedAddresses) &&
    isSameValue(wish.meta, node.Meta)
  );
}

/** Deep equality of plain data in which null, undefined, '', 0, false, `[]` and `{}` stand for one another as fields. */
function isSameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmptyValue(a) || isEmptyValue(b)) return isEmptyValue(a) && isEmptyValue(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, at) => isSameValue(item, b[at]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  for (const key of Object.keys(a)) if (!isSameField(a, b, key)) return false;
  for (const key of Object.keys(b)) if (!Object.hasOwn(a, key) && !isSameField(a, b, key)) return false;
  return true;
}

/** A key that is there with text differs from one that is not, even when the text is empty: `{a: ''}` is not `{}`. */
function isSameField(a: Record<string, unknown>, b: Record<string, unknown>, key: string): boolean {
  const left = a[key];
  const right = b[key];
  if (typeof left === 'string' || typeof right === 'string') return left === right;
  return isSameValue(left, right);
}

function isEmptyValue(value: unknown): boolean {
  if (value === null || value === undefined || value === 0 || value === false || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
