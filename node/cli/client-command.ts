/** A command that talks to an agent: sets the client up and reports when it can't. */

import type { FlagSpec, ParsedFlags } from '../config/flags.ts';
import {
  type ApiClient,
  CLIENT_FLAGS,
  ClientSetupError,
  createApiClient,
  SERVER_FLAGS,
} from './api-client.ts';
import type { CliIo, Command } from './command.ts';
import { messageOf } from './flag-access.ts';

export interface ClientCommandSpec {
  readonly synopsis: string;
  readonly usage: string;
  /** Own flags. */
  readonly flags: readonly FlagSpec[];
  /** Whether `-datacenter` and `-stale` make sense. */
  readonly takesServerFlags: boolean;
  /** Before the text about bad client flags; `Error connecting to Consul agent: ` when absent. */
  readonly setupErrorPrefix?: string;
  readonly run: (client: ApiClient, flags: ParsedFlags, io: CliIo) => Promise<number>;
}

export function clientCommand(spec: ClientCommandSpec): Command {
  const clientFlags = [...CLIENT_FLAGS, ...(spec.takesServerFlags ? SERVER_FLAGS : [])];
  return {
    kind: 'command',
    synopsis: spec.synopsis,
    usage: spec.usage,
    flags: [...spec.flags, ...clientFlags],
    clientFlags,
    async run(flags, io) {
      let client: ApiClient;
      try {
        client = createApiClient(flags, io);
      } catch (error) {
        if (!(error instanceof ClientSetupError)) throw error;
        io.err(`${spec.setupErrorPrefix ?? 'Error connecting to Consul agent: '}${error.message}\n`);
        return 1;
      }
      return spec.run(client, flags, io);
    },
  };
}

/** `/`-separated key with each segment percent-encoded, as Go puts it in a path. */
export function encodePath(path: string): string {
  return path
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment)
        .replace(/%(?:24|26|2B|3A|3D|40)/g, decodeURIComponent)
        .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/');
}

/** The name of the agent's own node. @throws Error with the client's text */
export async function ownNodeName(client: ApiClient): Promise<string> {
  const self = await client.json<{ Config: { NodeName: string } }>({ method: 'GET', path: '/v1/agent/self' });
  return self.Config.NodeName;
}

/** For commands that ask for the agent's own node first. @returns undefined after the error was printed */
export async function reachAgent(client: ApiClient, io: CliIo): Promise<string | undefined> {
  try {
    return await ownNodeName(client);
  } catch (error) {
    io.err(`Error querying Consul agent: ${messageOf(error)}\n`);
    return undefined;
  }
}
