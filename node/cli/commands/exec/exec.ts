/** `exec`: runs a command on other nodes, as far as their agents allow it. */

import { parseDurationMs } from '../../../../shared/durations.ts';
import { compilePattern } from '../../../../shared/filter/pattern.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand, encodePath } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { boolFlag, messageOf, optionalTextFlag, textFlag } from '../../flag-access.ts';
import { commandHelp } from '../../help.ts';
import { pause } from '../../pause.ts';
import { type LiveSession, openSession } from '../lock/session.ts';
import { createProgress } from './progress.ts';
import { watchReports } from './reports.ts';

const EVENT_NAME = '_rexec';
const SESSION_TTL_MS = 15_000;
const EXIT_NODE_FAILED = 2;

export const execCommand = clientCommand({
  synopsis: 'Executes a command on Consul nodes',
  usage: `Usage: consul exec [options] [-|command...]

  Evaluates a command on remote Consul nodes. The nodes responding can be
  filtered using regular expressions on node name, service, and tag
  definitions. If a command is '-', stdin will be read until EOF and used as
  a script input.

  Agents run nothing unless their configuration has disable_remote_exec =
  false.

      $ consul exec -service=web uptime`,
  flags: [
    { name: 'node', kind: 'string', usage: 'Regular expression to filter on node names.' },
    { name: 'prefix', kind: 'string', usage: 'Prefix in the KV store to use for data. Default _rexec.' },
    { name: 'service', kind: 'string', usage: 'Regular expression to filter on service instances.' },
    {
      name: 'shell',
      kind: 'bool',
      usage: 'Use a shell to run the command. The default; -shell=false runs it directly.',
    },
    { name: 'tag', kind: 'string', usage: 'Regular expression to filter on tags. Only with -service.' },
    { name: 'verbose', kind: 'bool', usage: 'Say what happens.' },
    {
      name: 'wait',
      kind: 'duration',
      usage: 'Quiet time that ends the run; twice as long while nodes are at work. Default 2s.',
    },
    {
      name: 'wait-repl',
      kind: 'duration',
      usage: 'Time to wait for replication before the event is fired. Default 200ms.',
    },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const settings = await settingsOf(flags, io);
    if (settings === undefined) {
      io.err(`Must specify a command to execute\n\n${commandHelp(execCommand)}`);
      return 1;
    }
    if (typeof settings === 'string') {
      io.err(`${settings}\n`);
      return 1;
    }
    return runEverywhere(client, settings, io);
  },
});

interface ExecSettings {
  /** What agents read. */
  readonly job: Readonly<Record<string, unknown>>;
  readonly prefix: string;
  readonly filters: Readonly<Record<string, string | undefined>>;
  readonly waitMs: number;
  readonly replicationMs: number;
  readonly isVerbose: boolean;
}

/** @returns the error text when the arguments make no sense, undefined when there is no command */
async function settingsOf(flags: ParsedFlags, io: CliIo): Promise<ExecSettings | string | undefined> {
  const isShell = !flags.values.has('shell') || boolFlag(flags, 'shell');
  const words = flags.rest;
  if (words.length === 0 || words.join('') === '') return undefined;
  const isScript = words.length === 1 && words[0] === '-';
  if (isScript && !isShell) return 'Cannot configure -shell=false when reading from stdin';
  const problem = filterProblem(flags);
  if (problem !== undefined) return problem;
  const wait = textFlag(flags, 'wait', '2s');
  const waitMs = parseDurationMs(wait);
  const job = {
    Command: isShell && !isScript ? words.join(' ') : '',
    Args: isShell ? undefined : words,
    Script: isScript ? Buffer.from(await io.readStdin()).toString('base64') : undefined,
    // Nanoseconds.
    Wait: Math.round(waitMs * 1e6),
  };
  return {
    job,
    prefix: textFlag(flags, 'prefix', '_rexec').replace(/^\/|\/$/g, ''),
    filters: {
      node: optionalTextFlag(flags, 'node'),
      service: optionalTextFlag(flags, 'service'),
      tag: optionalTextFlag(flags, 'tag'),
    },
    waitMs,
    replicationMs: parseDurationMs(textFlag(flags, 'wait-repl', '200ms')),
    isVerbose: boolFlag(flags, 'verbose'),
  };
}

function filterProblem(flags: ParsedFlags): string | undefined {
  for (const name of ['node', 'service', 'tag']) {
    const pattern = textFlag(flags, name);
    if (name === 'tag' && pattern !== '' && textFlag(flags, 'service') === '') {
      return 'Cannot provide tag filter without service filter.';
    }
    try {
      compilePattern(pattern);
    } catch (error) {
      return `Failed to compile ${name} filter regexp: error parsing regexp: ${messageOf(error)}`;
    }
  }
  return undefined;
}

async function runEverywhere(client: ApiClient, settings: ExecSettings, io: CliIo): Promise<number> {
  const say = (text: string) => {
    if (settings.isVerbose) io.out(`${text}\n`);
  };
  let origin: string;
  try {
    const { Config } = await client.json<{ Config: { NodeName: string; Datacenter: string } }>({
      method: 'GET',
      path: '/v1/agent/self',
    });
    origin = `${Config.NodeName}@${Config.Datacenter}`;
  } catch (error) {
    io.err(`Error querying Consul agent: ${messageOf(error)}\n`);
    return 1;
  }
  let session: LiveSession;
  try {
    const request = {
      name: `Remote Exec via ${origin}`,
      ttlMs: SESSION_TTL_MS,
      behavior: 'delete',
    } as const;
    session = await openSession(client, request, io.clock);
  } catch (error) {
    io.err(`Failed to create session: ${messageOf(error)}\n`);
    return 1;
  }
  say(`Created remote execution session: ${session.id}`);
  const folder = `${settings.prefix}/${session.id}`;
  try {
    return await runInSession(client, settings, session.id, folder, io, say);
  } catch (error) {
    io.err(`${messageOf(error)}\n`);
    return 1;
  } finally {
    await session.end();
    // Reports of the nodes are not bound to the session.
    await client
      .request({ method: 'DELETE', path: `/v1/kv/${encodePath(`${folder}/`)}`, query: { recurse: '' } })
      .catch(() => undefined);
  }
}

async function runInSession(
  client: ApiClient,
  settings: ExecSettings,
  sessionId: string,
  folder: string,
  io: CliIo,
  say: (text: string) => void,
): Promise<number> {
  const startedMs = io.clock.monotonicMs();
  await failingAs('Failed to create job file', uploadJob(client, `${folder}/job`, settings.job, sessionId));
  say('Uploaded remote execution spec');
  await pause(io.clock, settings.replicationMs, io.interrupted);
  const eventId = await failingAs('Failed to fire event', fireEvent(client, settings, sessionId));
  say(`Fired remote execution event: ${eventId}`);
  const progress = createProgress(io, settings.isVerbose);
  await watchReports(client, `${folder}/`, settings.waitMs, progress, io);
  progress.finish();
  say(`Completed in ${((io.clock.monotonicMs() - startedMs) / 1000).toFixed(2)} seconds`);
  return progress.hasFailed() ? EXIT_NODE_FAILED : 0;
}

async function uploadJob(
  client: ApiClient,
  key: string,
  job: Readonly<Record<string, unknown>>,
  sessionId: string,
): Promise<void> {
  const response = await client.expectOk({
    method: 'PUT',
    path: `/v1/kv/${encodePath(key)}`,
    query: { acquire: sessionId },
    body: JSON.stringify(job),
  });
  if (!response.body.toString().includes('true')) throw new Error('not acquired');
}

async function fireEvent(client: ApiClient, settings: ExecSettings, sessionId: string): Promise<string> {
  const { ID } = await client.json<{ ID: string }>({
    method: 'PUT',
    path: `/v1/event/fire/${EVENT_NAME}`,
    query: settings.filters,
    body: JSON.stringify({ Prefix: settings.prefix, Session: sessionId }),
  });
  return ID;
}

async function failingAs<T>(prefix: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Error(`${prefix}: ${messageOf(error)}`);
  }
}
