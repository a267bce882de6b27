/** Go's duration text (`1h15m30.918s`), which every Consul duration field, flag and parameter uses. */

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

export const NS_PER_MS = 1e6;

/** The text is not a duration. `message` is Go's, e.g. `time: missing unit in duration "5"`. */
export class DurationSyntaxError extends Error {
  override readonly name = 'DurationSyntaxError';
}

/**
 * Parses Go duration text: an optional sign, then decimal numbers each with a unit (`ns us µs ms s m h`), or `0`.
 *
 * @returns nanoseconds, an integer, |n| < 2^63 (exact up to 2^53)
 * @throws DurationSyntaxError with Go's text
 */
export function parseDurationNs(text: string): number {
  let rest = text;
  let sign = 1;
  if (rest.startsWith('-') || rest.startsWith('+')) {
    sign = rest.startsWith('-') ? -1 : 1;
    rest = rest.slice(1);
  }
  if (rest === '0') return 0;
  if (rest === '') throw new DurationSyntaxError(`time: invalid duration ${quote(text)}`);
  let total = 0;
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw new DurationSyntaxError(`time: invalid duration ${quote(text)}`);
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? '';
    if (unit === '') throw new DurationSyntaxError(`time: missing unit in duration ${quote(text)}`);
    const unitNs = UNIT_NS[unit];
    if (unitNs === undefined)
      throw new DurationSyntaxError(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    rest = rest.slice(unit.length);
    total += Number(number) * unitNs;
    if (total > 2 ** 63 - 1) throw new DurationSyntaxError(`time: invalid duration ${quote(text)}`);
  }
  return sign * Math.trunc(total) || 0;
}

/** As `parseDurationNs`, in milliseconds (fractions kept). */
export function parseDurationMs(text: string): number {
  return parseDurationNs(text) / NS_PER_MS;
}

/** Go's `Duration.String()`: `0s`, `200ms`, `1m30s`, `24h0m0s`, `1.5s`, `-1ns`. */
export function formatDurationNs(ns: number): string {
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const abs = Math.abs(Math.trunc(ns));
  if (abs < 1e3) return `${sign}${abs}ns`;
  if (abs < 1e6) return `${sign}${decimal(abs, 1e3)}µs`;
  if (abs < 1e9) return `${sign}${decimal(abs, 1e6)}ms`;
  const hours = Math.floor(abs / 3600e9);
  const minutes = Math.floor((abs % 3600e9) / 60e9);
  const seconds = decimal(abs % 60e9, 1e9);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${seconds}s`;
}

export function formatDurationMs(ms: number): string {
  return formatDurationNs(Math.round(ms * NS_PER_MS));
}

/** `value / unit` in decimal without trailing zeros, computed on integers. */
function decimal(value: number, unit: number): string {
  const digits = Math.round(Math.log10(unit));
  const whole = Math.floor(value / unit);
  const fraction = String(value % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
