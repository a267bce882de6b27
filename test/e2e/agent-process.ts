/** Single agents in tests: started with flags as a user would give them, on free loopback ports. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_PROGRAM, type AgentPorts, fetchJson, freePorts } from '../../launch/pool.ts';
import { type LocalProcess, startProcess } from '../../launch/process.ts';
import { eventually } from './eventually.ts';

export interface TestAgent {
  readonly name: string;
  readonly url: string;
  readonly ports: AgentPorts;
  readonly dataDir: string;
  process: LocalProcess;
  /** Starts it again, with other flags if given. */
  start(flags?: readonly string[]): void;
}

/** A folder of its own for a test file; `remove` deletes it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'proconsul-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Ports and data directory are added to `flags`. */
export async function startAgent(folder: string, name: string, flags: readonly string[]): Promise<TestAgent> {
  const ports = (await freePorts(1))(0);
  const dataDir = join(folder, name);
  const launch = (given: readonly string[]) =>
    startProcess({
      name,
      args: [AGENT_PROGRAM, 'agent', `-node=${name}`, `-data-dir=${dataDir}`, ...portFlags(ports), ...given],
    });
  const agent: TestAgent = {
    name,
    url: `http://127.0.0.1:${ports.http}`,
    ports,
    dataDir,
    process: launch(flags),
    start(given = flags) {
      agent.process = launch(given);
    },
  };
  return agent;
}

/** Waits until the agent answers reads that need a leader. */
export async function untilLed(agent: TestAgent): Promise<void> {
  await eventually(`a leader for ${agent.name}: ${agent.process.output().slice(-500)}`, () =>
    fetchJson<unknown[]>(`${agent.url}/v1/catalog/nodes`),
  );
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `proconsul …` against the agent. */
export function cli(agent: Pick<TestAgent, 'url'>, ...args: string[]): Promise<CliResult> {
  return new Promise((resolve) => {
    const env = { ...process.env, CONSUL_HTTP_ADDR: agent.url };
    execFile(process.execPath, [AGENT_PROGRAM, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

export function portFlags(ports: AgentPorts): string[] {
  return [
    '-bind=127.0.0.1',
    `-http-port=${ports.http}`,
    `-dns-port=${ports.dns}`,
    `-server-port=${ports.server}`,
    `-serf-lan-port=${ports.serfLan}`,
    `-serf-wan-port=${ports.serfWan}`,
  ];
}
