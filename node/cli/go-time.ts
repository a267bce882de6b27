/** Times as Go prints them. */

/**
 * @param rfc3339 `2026-11-21T07:05:28.711Z`, with up to nine digits of fraction, or with an offset
 * @returns `2026-11-21 07:05:28.711 +0000 UTC`: the fraction without zeros at its end; other text comes back unchanged
 */
export function goTimeText(rfc3339: string): string {
  const match =
    /^(?<day>\d{4,}-\d{2}-\d{2})T(?<time>\d{2}:\d{2}:\d{2})(?<fraction>\.\d+)?(?<zone>Z|[+-]\d{2}:\d{2})$/.exec(
      rfc3339,
    );
  if (match?.groups === undefined) return rfc3339;
  const { day, time, fraction = '', zone = 'Z' } = match.groups;
  const digits = fraction.replace(/\.?0+$/, '');
  const offset = zone.replace(':', '');
  return `${day} ${time}${digits} ${zone === 'Z' ? '+0000 UTC' : `${offset} ${offset}`}`;
}
