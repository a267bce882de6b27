/** `maint`: maintenance mode of the node or of one service. */

import type { HealthCheck } from '../../../shared/types/v1.ts';
import type { ParsedFlags } from '../../config/flags.ts';
import type { ApiClient } from '../api-client.ts';
import { clientCommand, encodePath, reachAgent } from '../client-command.ts';
import type { CliIo } from '../command.ts';
import { boolFlag, messageOf, textFlag } from '../flag-access.ts';

const NODE_CHECK = '_node_maintenance';
const SERVICE_CHECK = '_service_maintenance:';

export const maintCommand = clientCommand({
  synopsis: 'Controls node or service maintenance mode',
  usage:
    'Usage: consul maint [options]\n\n  Places a node or service into maintenance mode, or lists what is in it.',
  flags: [
    { name: 'disable', kind: 'bool', usage: 'Disables maintenance mode.' },
    { name: 'enable', kind: 'bool', usage: 'Enables maintenance mode.' },
    { name: 'reason', kind: 'string', usage: 'Text that describes the maintenance.' },
    { name: 'service', kind: 'string', usage: 'ID of the service to control instead of the node.' },
  ],
  takesServerFlags: false,
  async run(client, flags, io) {
    const isEnable = boolFlag(flags, 'enable');
    const isDisable = boolFlag(flags, 'disable');
    const service = textFlag(flags, 'service');
    const problem =
      isEnable && isDisable
        ? 'Only one of -enable or -disable may be provided'
        : textFlag(flags, 'reason') !== '' && !isEnable
          ? 'Reason may only be provided with -enable'
          : service !== '' && !isEnable && !isDisable
            ? 'Service requires either -enable or -disable'
            : undefined;
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    if ((await reachAgent(client, io)) === undefined) return 1;
    if (!isEnable && !isDisable) return listMaintenance(client, io);
    return setMaintenance(client, flags, io, service, isEnable);
  },
});

async function setMaintenance(
  client: ApiClient,
  flags: ParsedFlags,
  io: CliIo,
  service: string,
  isEnable: boolean,
): Promise<number> {
  const subject = service === '' ? 'node' : 'service';
  const path =
    service === '' ? '/v1/agent/maintenance' : `/v1/agent/service/maintenance/${encodePath(service)}`;
  const reason = textFlag(flags, 'reason');
  try {
    const query = { enable: String(isEnable), reason: reason === '' ? undefined : reason };
    await client.expectOk({ method: 'PUT', path, query });
  } catch (error) {
    io.err(`Error ${isEnable ? 'enabling' : 'disabling'} ${subject} maintenance: ${messageOf(error)}\n`);
    return 1;
  }
  const what = service === '' ? 'Node maintenance' : 'Service maintenance';
  io.out(
    `${what} is now ${isEnable ? 'enabled' : 'disabled'}${service === '' ? '' : ` for ${JSON.stringify(service)}`}\n`,
  );
  return 0;
}

async function listMaintenance(client: ApiClient, io: CliIo): Promise<number> {
  let checks: Record<string, HealthCheck>;
  try {
    checks = await client.json<Record<string, HealthCheck>>({ method: 'GET', path: '/v1/agent/checks' });
  } catch (error) {
    io.err(`Error getting checks: ${messageOf(error)}\n`);
    return 1;
  }
  for (const check of Object.values(checks)) {
    if (check.CheckID === NODE_CHECK) {
      io.out(`Node:\n  Name:   ${check.Node}\n  Reason: ${check.Notes}\n\n`);
    } else if (check.CheckID.startsWith(SERVICE_CHECK)) {
      io.out(
        `Service:\n  ID:     ${check.CheckID.slice(SERVICE_CHECK.length)}\n  Reason: ${check.Notes}\n\n`,
      );
    }
  }
  return 0;
}
