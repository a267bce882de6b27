/** `operator autopilot`: how dead servers are cleaned up and new ones become voters. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand } from '../../client-command.ts';
import type { CommandGroup } from '../../command.ts';
import { messageOf } from '../../flag-access.ts';

const PATH = '/v1/operator/autopilot/configuration';

type AutopilotConfig = Record<string, string | number | boolean>;

/** In the order in which they are printed. Texts are printed in quotes unless they are durations. */
const SETTINGS: readonly { readonly key: string; readonly flag: FlagSpec }[] = [
  {
    key: 'CleanupDeadServers',
    flag: {
      name: 'cleanup-dead-servers',
      kind: 'bool',
      usage: 'Remove dead servers when a new server joins, and periodically (true or false).',
    },
  },
  {
    key: 'LastContactThreshold',
    flag: {
      name: 'last-contact-threshold',
      kind: 'duration',
      usage: 'How long a server may go without contact from the leader before it counts as unhealthy.',
    },
  },
  {
    key: 'MaxTrailingLogs',
    flag: {
      name: 'max-trailing-logs',
      kind: 'uint',
      usage: 'How many log entries a server may trail the leader before it counts as unhealthy.',
    },
  },
  {
    key: 'MinQuorum',
    flag: {
      name: 'min-quorum',
      kind: 'uint',
      usage: 'The number of servers below which dead ones are not removed.',
    },
  },
  {
    key: 'ServerStabilizationTime',
    flag: {
      name: 'server-stabilization-time',
      kind: 'duration',
      usage: 'How long a new server must be healthy before it becomes a voter.',
    },
  },
  {
    key: 'RedundancyZoneTag',
    flag: { name: 'redundancy-zone-tag', kind: 'string', usage: 'Not used in the open edition.' },
  },
  {
    key: 'DisableUpgradeMigration',
    flag: { name: 'disable-upgrade-migration', kind: 'bool', usage: 'Not used in the open edition.' },
  },
  {
    key: 'UpgradeVersionTag',
    flag: { name: 'upgrade-version-tag', kind: 'string', usage: 'Not used in the open edition.' },
  },
];

const getConfig = clientCommand({
  synopsis: 'Display the current Autopilot configuration',
  usage:
    'Usage: consul operator autopilot get-config [options]\n\n  Displays the current Autopilot configuration.',
  flags: [],
  takesServerFlags: true,
  async run(client, _flags, io) {
    let config: AutopilotConfig;
    try {
      config = await readConfig(client);
    } catch (error) {
      io.err(`Error querying Autopilot configuration: ${messageOf(error)}\n`);
      return 1;
    }
    for (const { key, flag } of SETTINGS) {
      const value = config[key];
      io.out(`${key} = ${flag.kind === 'string' ? JSON.stringify(value ?? '') : value}\n`);
    }
    return 0;
  },
});

const setConfig = clientCommand({
  synopsis: 'Modify the current Autopilot configuration',
  usage: `Usage: consul operator autopilot set-config [options]

  Modifies the current Autopilot configuration. What is not given stays as it
  is. Booleans need a value: -cleanup-dead-servers=false.`,
  flags: SETTINGS.map(({ flag }) => flag),
  takesServerFlags: true,
  async run(client, flags, io) {
    let config: AutopilotConfig;
    try {
      config = await readConfig(client);
    } catch (error) {
      io.err(`Error querying Autopilot configuration: ${messageOf(error)}\n`);
      return 1;
    }
    try {
      if (await writeConfig(client, changed(config, flags), String(config.ModifyIndex ?? 0))) {
        io.out('Configuration updated!\n');
        return 0;
      }
      io.out('Configuration could not be atomically updated, please try again\n');
    } catch (error) {
      io.err(`Error setting Autopilot configuration: ${messageOf(error)}\n`);
    }
    return 1;
  },
});

export const autopilotCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Provides tools for modifying Autopilot configuration',
  usage: `Usage: consul operator autopilot <subcommand> [options]

  The Autopilot operator command is used to interact with Consul's Autopilot
  subsystem. It can be used to view or modify the current configuration.`,
  commands: { 'get-config': getConfig, 'set-config': setConfig },
};

function readConfig(client: ApiClient): Promise<AutopilotConfig> {
  return client.json<AutopilotConfig>({ method: 'GET', path: PATH });
}

function changed(config: AutopilotConfig, flags: ParsedFlags): AutopilotConfig {
  const given = SETTINGS.flatMap(({ key, flag }) => {
    const value = flags.values.get(flag.name);
    if (value === undefined || Array.isArray(value)) return [];
    return [[key, flag.kind === 'uint' ? Number(value) : value] as const];
  });
  const kept = SETTINGS.flatMap(({ key }) =>
    config[key] === undefined ? [] : [[key, config[key]] as const],
  );
  return Object.fromEntries([...kept, ...given]);
}

/** @returns false when somebody else changed it in between */
async function writeConfig(client: ApiClient, config: AutopilotConfig, cas: string): Promise<boolean> {
  const body = JSON.stringify(config);
  const response = await client.expectOk({ method: 'PUT', path: PATH, query: { cas }, body });
  return response.body.toString().includes('true');
}
