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

export interface ClientCommandSpec {
  readonly synopsis: string;
  readonly usage: string;
  /** Own flags. */
  readonly flags: readonly FlagSpec[];
  /** Whether `-datacenter` and `-stale` make sense. */
  readonly takesServerFlags: boolean;
  readonly run: (client: ApiClient, flags: ParsedFlags, io: CliIo) => Promise<number>;
}

export function clientCommand(spec: ClientCommandSpec): Command {
  return {
    kind: 'command',
    synopsis: spec.synopsis,
    usage: spec.usage,
    flags: [...spec.flags, ...CLIENT_FLAGS, ...(spec.takesServerFlags ? SERVER_FLAGS : [])],
    async run(flags, io) {
      let client: ApiClient;
      try {
        client = createApiClient(flags, io);
      } catch (error) {
        if (!(error instanceof ClientSetupError)) throw error;
        io.err(`Error connecting to Consul agent: ${error.message}\n`);
        return 1;
      }
      return spec.run(client, flags, io);
    },
  };
}

/** `/`-separated key with each segment percent-encoded, as Consul's client puts it in a path. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
