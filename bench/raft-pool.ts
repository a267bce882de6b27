/** Three servers to compare: this program's, or a real Consul's with the same flags. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentPorts, fetchJson, freePorts, startPool, waitUntilReady } from '../launch/pool.ts';

export interface BenchServer {
  readonly name: string;
  readonly url: string;
  readonly dataDir: string;
  pid(): number;
  output(): string;
  /** Kills it at once. */
  crash(): Promise<void>;
  /** Starts it again after a crash. */
  restart(): void;
}

export interface BenchPool {
  readonly name: string;
  readonly servers: readonly BenchServer[];
  leader(): Promise<BenchServer>;
  /** Starts a fourth server with nothing on its disk. */
  addServer(): Promise<BenchServer>;
  stop(): Promise<void>;
}

/** The settings that all servers get beside the usual flags. */
export interface BenchSettings {
  readonly snapshotThreshold: number;
  readonly snapshotInterval: string;
  readonly raftMultiplier: number;
}

export async function startProconsul(dataRoot: string, settings: BenchSettings): Promise<BenchPool> {
  const portsOf = await freePorts(4);
  const file = settingsFile(dataRoot, settings);
  const extraAgentArgs = [
    '-log-level=info',
    `-config-file=${file}`,
    ...(process.env.BENCH_AGENT_ARGS?.split(' ') ?? []),
  ];
  const output = new Map<string, string>();
  const onOutput = (name: string, text: string) =>
    output.set(name, ((output.get(name) ?? '') + text).slice(-256 * 1024));
  const options = { clients: 0, dataRoot, portsOf, gatewayPort: undefined, extraAgentArgs, onOutput };
  const pool = startPool({ ...options, servers: 3 });
  const more: { stop(): Promise<void> }[] = [];
  const serverOf = (agent: (typeof pool.agents)[number]): BenchServer => ({
    name: agent.name,
    url: agent.url,
    dataDir: agent.dataDir,
    pid: () => agent.process.pid,
    output: () => output.get(agent.name) ?? '',
    crash: () => agent.process.stop('SIGKILL'),
    restart: () => agent.restart(),
  });
  const servers = pool.agents.map(serverOf);
  await waitUntilReady(pool);
  return {
    name: 'proconsul',
    servers,
    leader: () => findLeader(servers, (i) => portsOf(i)),
    async addServer() {
      // The fourth takes the ports behind the first three, and joins the first.
      const joiner = startPool({
        ...options,
        servers: 1,
        portsOf: () => portsOf(3),
        dataRoot: join(dataRoot, 'more'),
        extraAgentArgs: [
          ...extraAgentArgs,
          '-node=server4',
          '-bootstrap-expect=0',
          `-retry-join=127.0.0.1:${portsOf(0).serfLan}`,
        ],
      });
      more.push(joiner);
      const [agent] = joiner.agents;
      if (agent === undefined) throw new Error('the new server did not start');
      return serverOf(agent);
    },
    async stop() {
      for (const joiner of more) await joiner.stop();
      await pool.stop();
    },
  };
}

/** @param program path of the `consul` binary */
export async function startConsul(
  program: string,
  dataRoot: string,
  settings: BenchSettings,
): Promise<BenchPool> {
  const portsOf = await freePorts(4);
  const file = settingsFile(dataRoot, settings);
  const children: ChildProcess[] = [];
  const launch = (index: number, extra: readonly string[]): BenchServer => {
    const ports = portsOf(index);
    const name = `consul${index + 1}`;
    const dataDir = join(dataRoot, name);
    mkdirSync(dataDir, { recursive: true });
    const args = [
      'agent',
      '-server',
      ...extra,
      `-node=${name}`,
      `-data-dir=${dataDir}`,
      `-config-file=${file}`,
    ];
    args.push('-bind=127.0.0.1', '-client=127.0.0.1', `-retry-join=127.0.0.1:${portsOf(0).serfLan}`);
    args.push('-retry-interval=1s', '-log-level=info', ...consulPorts(ports));
    let kept = '';
    const start = () => {
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.on('data', (text: Buffer) => {
        kept = (kept + text.toString()).slice(-256 * 1024);
      });
      child.stderr.resume();
      children.push(child);
      return child;
    };
    let child = start();
    return {
      name,
      url: `http://127.0.0.1:${ports.http}`,
      dataDir,
      pid: () => child.pid ?? 0,
      output: () => kept,
      crash: () => ended(child),
      restart() {
        child = start();
      },
    };
  };
  const servers = [0, 1, 2].map((i) => launch(i, ['-bootstrap-expect=3']));
  const until = performance.now() + 60_000;
  while ((await fetchJson<unknown[]>(`${servers[0]?.url}/v1/catalog/nodes`))?.length !== 3) {
    if (performance.now() > until) throw new Error(`consul is not ready: ${servers[0]?.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return {
    name: 'consul',
    servers,
    leader: () => findLeader(servers, (i) => portsOf(i)),
    addServer: async () => launch(3, []),
    async stop() {
      await Promise.all(children.map(ended));
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

/** Asks all in turn: any of them may be down. */
async function findLeader(
  servers: readonly BenchServer[],
  portsOf: (index: number) => AgentPorts,
): Promise<BenchServer> {
  const until = performance.now() + 30_000;
  while (performance.now() < until) {
    for (const asked of servers) {
      const address = await fetchJson<string>(`${asked.url}/v1/status/leader`);
      const found = servers.find((_, i) => address?.endsWith(`:${portsOf(i).server}`) === true);
      if (found !== undefined) return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the servers have no leader');
}

function settingsFile(dataRoot: string, settings: BenchSettings): string {
  mkdirSync(dataRoot, { recursive: true });
  const path = join(dataRoot, 'settings.json');
  const content = {
    raft_snapshot_threshold: settings.snapshotThreshold,
    raft_snapshot_interval: settings.snapshotInterval,
    performance: { raft_multiplier: settings.raftMultiplier },
  };
  writeFileSync(path, JSON.stringify(content));
  return path;
}

function consulPorts(ports: AgentPorts): string[] {
  return [
    `-http-port=${ports.http}`,
    `-dns-port=${ports.dns}`,
    `-server-port=${ports.server}`,
    `-serf-lan-port=${ports.serfLan}`,
    `-serf-wan-port=${ports.serfWan}`,
  ];
}
