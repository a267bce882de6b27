/** Instances of a service as Prometheus targets, with the labels that its `consul_sd_configs` gives them. Pure. */

import type { HealthEntry } from '../../shared/types/v1.ts';

/** An element of what `http_sd_configs` reads. */
export interface TargetGroup {
  readonly targets: readonly [string];
  readonly labels: Readonly<Record<string, string>>;
}

const PREFIX = '__meta_consul_';

/**
 * One group per instance: labels differ.
 *
 * @param datacenter the one asked for, '' for the agents' own: then that of each node
 * @param separator  stands between tags and around them, so that a rule needn't care where a tag stands
 */
export function targetsOf(
  service: string,
  entries: readonly HealthEntry[],
  datacenter: string,
  separator: string,
): TargetGroup[] {
  return entries.map((entry) => {
    const { Node: node, Service: instance } = entry;
    const port = String(instance.Port ?? 0);
    const labels: Record<string, string> = {
      [`${PREFIX}address`]: node.Address,
      [`${PREFIX}dc`]: datacenter === '' ? node.Datacenter : datacenter,
      [`${PREFIX}health`]: aggregatedStatus(entry),
      [`${PREFIX}node`]: node.Node,
      [`${PREFIX}service`]: service,
      [`${PREFIX}service_address`]: instance.Address,
      [`${PREFIX}service_id`]: instance.ID,
      [`${PREFIX}service_port`]: port,
      [`${PREFIX}tags`]: separator + (instance.Tags ?? []).join(separator) + separator,
    };
    addAll(labels, `${PREFIX}metadata_`, node.Meta);
    addAll(labels, `${PREFIX}service_metadata_`, instance.Meta);
    addAll(labels, `${PREFIX}tagged_address_`, node.TaggedAddresses);
    return { targets: [hostPort(instance.Address || node.Address, port)], labels };
  });
}

/** Maintenance counts before anything else, then the worst check. */
function aggregatedStatus({ Checks: checks }: HealthEntry): string {
  const isMaintenance = ({ CheckID: id }: { CheckID: string }) =>
    id === '_node_maintenance' || id.startsWith('_service_maintenance:');
  if (checks.some(isMaintenance)) return 'maintenance';
  const statuses = checks.map(({ Status }) => Status);
  return ['critical', 'warning'].find((status) => statuses.some((each) => each === status)) ?? 'passing';
}

function addAll(
  labels: Record<string, string>,
  prefix: string,
  values: Readonly<Record<string, string>> | null,
) {
  for (const [key, value] of Object.entries(values ?? {}))
    labels[prefix + key.replace(/[^a-zA-Z0-9_]/g, '_')] = value;
}

/** IPv6 addresses stand in brackets, as everywhere before a port. */
function hostPort(host: string, port: string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
