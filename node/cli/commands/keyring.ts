/** `keyring`: lists and changes the keys that encrypt gossip, on all agents at once. */

import type { ParsedFlags } from '../../config/flags.ts';
import { clientCommand } from '../client-command.ts';
import type { CliIo } from '../command.ts';
import { boolFlag, intFlag, messageOf, textFlag } from '../flag-access.ts';
import { commandHelp } from '../help.ts';

const MAX_RELAY_FACTOR = 5;

export const keyringCommand = clientCommand({
  synopsis: 'Manages gossip layer encryption keys',
  usage: `Usage: consul keyring [options]

  Manages encryption keys used for gossip messages. Gossip encryption is
  optional. When enabled, this command may be used to examine active
  encryption keys in the cluster, add new keys, and remove old ones. When
  combined, this functionality provides the ability to perform key rotation
  cluster-wide, without disrupting the cluster.

  All operations performed by this command can only be run against server
  nodes, and affect both the LAN and WAN keyrings in lock-step.

  Exactly one of -install, -use, -remove, -list and -list-primary is given.`,
  flags: [
    {
      name: 'install',
      kind: 'string',
      usage: 'Install a new encryption key. This will broadcast it to all members of the cluster.',
    },
    { name: 'list', kind: 'bool', usage: 'List all keys currently in use within the cluster.' },
    { name: 'list-primary', kind: 'bool', usage: 'List the primary keys currently in use.' },
    {
      name: 'local-only',
      kind: 'bool',
      usage: 'Do not forward the query to other datacenters. Only with -list and -list-primary.',
    },
    {
      name: 'relay-factor',
      kind: 'int',
      usage: 'Number of members through which each answer is relayed as well, from 0 to 5. Default 0.',
    },
    {
      name: 'remove',
      kind: 'string',
      usage: 'Remove the given key from the cluster. Only possible for keys that are not the primary key.',
    },
    {
      name: 'use',
      kind: 'string',
      usage: 'Change the primary encryption key, which is used to encrypt messages.',
    },
  ],
  takesServerFlags: false,
  async run(client, flags, io) {
    const actions = chosenActions(flags);
    const [action] = actions;
    if (action === undefined) {
      io.out(commandHelp(keyringCommand));
      return 1;
    }
    const problem = actions.length > 1 ? 'Only a single action is allowed' : optionProblem(flags, action);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    io.out(`==> ${ACTIONS[action].title}...\n`);
    const relayFactor = intFlag(flags, 'relay-factor') ?? 0;
    const query = {
      'relay-factor': relayFactor === 0 ? undefined : String(relayFactor),
      'local-only': boolFlag(flags, 'local-only') ? 'true' : undefined,
    };
    const { method } = ACTIONS[action];
    const path = '/v1/operator/keyring';
    try {
      if (method === 'GET') {
        const pools = await client.json<KeyringPool[]>({ method, path, query });
        printPools(pools, action === 'list-primary', io);
      } else {
        const body = JSON.stringify({ Key: textFlag(flags, action) });
        await client.expectOk({ method, path, query, body });
      }
      return 0;
    } catch (error) {
      io.err(`error: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

type Action = 'list' | 'list-primary' | 'install' | 'use' | 'remove';

const ACTIONS: Readonly<Record<Action, { title: string; method: 'GET' | 'POST' | 'PUT' | 'DELETE' }>> = {
  list: { title: 'Gathering installed encryption keys', method: 'GET' },
  'list-primary': { title: 'Gathering installed primary encryption keys', method: 'GET' },
  install: { title: 'Installing new gossip encryption key', method: 'POST' },
  use: { title: 'Changing primary gossip encryption key', method: 'PUT' },
  remove: { title: 'Removing gossip encryption key', method: 'DELETE' },
};

function chosenActions(flags: ParsedFlags): Action[] {
  const flagged = (['list', 'list-primary'] as const).filter((name) => boolFlag(flags, name));
  const keyed = (['install', 'use', 'remove'] as const).filter((name) => textFlag(flags, name) !== '');
  return [...flagged, ...keyed];
}

function optionProblem(flags: ParsedFlags, action: Action): string | undefined {
  const factor = intFlag(flags, 'relay-factor') ?? 0;
  if (factor < 0 || factor > MAX_RELAY_FACTOR) {
    return `Error parsing relay factor: Relay factor must be in range: [0, ${MAX_RELAY_FACTOR}]`;
  }
  if (boolFlag(flags, 'local-only') && ACTIONS[action].method !== 'GET') {
    return 'Error validating local-only: local-only can only be set for list requests';
  }
  return undefined;
}

interface KeyringPool {
  readonly WAN: boolean;
  readonly Datacenter: string;
  readonly Segment: string;
  readonly Messages?: Readonly<Record<string, string>>;
  readonly Keys: Readonly<Record<string, number>> | null;
  readonly PrimaryKeys?: Readonly<Record<string, number>> | null;
  readonly NumNodes: number;
}

/** One block a pool: its name, what its members had to say, and each key with how many of them hold it. */
function printPools(pools: readonly KeyringPool[], isPrimary: boolean, io: CliIo): void {
  for (const pool of pools) {
    const segment = pool.Segment === '' ? '' : ` [${pool.Segment}]`;
    const name = pool.WAN ? 'WAN' : `${pool.Datacenter} (LAN)${segment}`;
    const messages = Object.entries(pool.Messages ?? {}).map(([node, text]) => `  ===> ${node}: ${text}\n`);
    const keys = Object.entries((isPrimary ? pool.PrimaryKeys : pool.Keys) ?? {}).map(
      ([key, holders]) => `  ${key} [${holders}/${pool.NumNodes}]\n`,
    );
    io.out(`\n${name}:\n${messages.join('')}${keys.join('')}`);
  }
}
