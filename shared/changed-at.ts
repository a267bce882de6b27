/** When an entry of a list last changed, by the index that it carries. */

/** The newest index that an entry carries, to tell changes of one answer in the order in which they happened. */
export function changedAt(value: unknown): number {
  if (!isObject(value)) return 0;
  const { ModifyIndex: own, Node: node, Service: service, Checks: checks } = value;
  if (typeof own === 'number') return own;
  const parts = [node, service, ...(Array.isArray(checks) ? (checks as unknown[]) : [])];
  return parts.reduce<number>((newest, part) => {
    const index = isObject(part) ? part.ModifyIndex : undefined;
    return typeof index === 'number' ? Math.max(newest, index) : newest;
  }, 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
