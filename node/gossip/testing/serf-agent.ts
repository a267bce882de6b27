/** Runs a real Serf agent, where one is installed, so that both sides of the protocol can be checked against it. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { realEnv, sleep } from '../../../shared/env.ts';

const run = promisify(execFile);

/** Path of the `serf` program (`SERF_BIN`, else on the PATH); undefined when there is none. */
export function findSerf(): string | undefined {
  const named = process.env.SERF_BIN;
  const candidates = named === undefined ? [] : [named];
  for (const folder of (process.env.PATH ?? '').split(delimiter)) candidates.push(join(folder, 'serf'));
  return candidates.find(isExecutable);
}

export interface SerfAgent {
  readonly name: string;
  readonly address: string;
  /** Everything the agent has printed. */
  output(): string;
  /** Runs a `serf` command against the agent. @returns its standard output */
  command(...args: string[]): Promise<string>;
  /** Statuses by member name. */
  statuses(): Promise<Record<string, string>>;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

/** Starts an agent with the fast timer profile on `host`, ports 17946 (gossip) and 17373 (commands). */
export async function startSerf(
  binary: string,
  name: string,
  host: string,
  flags: readonly string[] = [],
): Promise<SerfAgent> {
  const address = `${host}:17946`;
  const rpc = `${host}:17373`;
  const fixed = [
    '-node',
    name,
    '-bind',
    address,
    '-rpc-addr',
    rpc,
    '-profile',
    'local',
    '-log-level',
    'debug',
  ];
  const child = spawn(binary, ['agent', ...fixed, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
  const command = async (...args: string[]): Promise<string> => {
    const [verb = '', ...rest] = args;
    // Key operations are flags of one command, others take the address right after the verb.
    const { stdout } = await run(binary, [verb, `-rpc-addr=${rpc}`, ...rest]);
    return stdout;
  };
  await answering(() => command('members'), child);
  return {
    name,
    address,
    output: () => printed,
    command,
    statuses: async () => parseStatuses(await command('members', '-format=json')),
    kill: (signal) =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) {
          resolve();
          return;
        }
        child.once('exit', () => resolve());
        child.kill(signal);
      }),
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there or not ours to run.
    return false;
  }
}

async function answering(probe: () => Promise<unknown>, child: ChildProcess): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await probe();
      return;
    } catch (thrown) {
      if (attempt >= 100 || child.exitCode !== null) throw thrown;
      await sleep(realEnv.clock, 50);
    }
  }
}

function parseStatuses(text: string): Record<string, string> {
  const parsed: { members: { name: string; status: string }[] } = JSON.parse(text);
  return Object.fromEntries(parsed.members.map((member) => [member.name, member.status]));
}
