/** Numbers and states in words. Pure. */

/** From best to worst; `none` is without any check. */
export const STATUSES = ['none', 'passing', 'warning', 'critical'] as const;
export type Status = (typeof STATUSES)[number];

/** How many checks are in which state. */
export interface HealthCounts {
  readonly passing: number;
  readonly warning: number;
  readonly critical: number;
}

export function worstStatus({ passing, warning, critical }: HealthCounts): Status {
  if (critical > 0) return 'critical';
  if (warning > 0) return 'warning';
  return passing > 0 ? 'passing' : 'none';
}

/** Anything that isn't passing or warning counts as critical, as Consul does it. */
export function countStatuses(statuses: readonly string[]): HealthCounts {
  const passing = statuses.filter((status) => status === 'passing').length;
  const warning = statuses.filter((status) => status === 'warning').length;
  return { passing, warning, critical: statuses.length - passing - warning };
}

const numbers = new Intl.NumberFormat('en');

/** `1 node`, `2 nodes`, `1,200 nodes`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${numbers.format(count)} ${count === 1 ? one : many}`;
}

/** `0 bytes`, `12 bytes`, `1.5 KiB`, `512 KiB`. */
export function byteSize(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte');
  const [unit, size] = bytes < 1024 ** 2 ? ['KiB', bytes / 1024] : ['MiB', bytes / 1024 ** 2];
  return `${Number(size.toFixed(size < 10 ? 1 : 0))} ${unit}`;
}

/** `10.0.0.1:80`, `[::1]:80`, the address alone without a port (0). */
export function hostPort(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Rounded up to whole seconds: `3 s`. */
export function seconds(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1000))} s`;
}

const natural = new Intl.Collator('en', { numeric: true });

/** Orders `web-2` before `web-10`. */
export function byName(a: string, b: string): number {
  return natural.compare(a, b);
}

/** One word of a shell command line, in single quotes where it needs them. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
