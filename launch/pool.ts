/** A whole pool on this machine: servers, client agents and a gateway as separate processes on loopback. */

import { mkdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type LocalProcess, startProcess } from './process.ts';

export const AGENT_PROGRAM = new URL('../dist/node/main.js', import.meta.url).pathname;
export const GATEWAY_PROGRAM = new URL('../dist/gateway/server.js', import.meta.url).pathname;

export interface AgentPorts {
  readonly http: number;
  readonly dns: number;
  readonly server: number;
  readonly serfLan: number;
  readonly serfWan: number;
}

export interface LocalAgentProcess {
  readonly name: string;
  readonly role: 'server' | 'client';
  readonly ports: AgentPorts;
  readonly url: string;
  readonly dataDir: string;
  /** Starts it again with the same arguments after it has ended. */
  restart(): void;
  process: LocalProcess;
}

export interface LocalGatewayProcess {
  readonly url: string;
  readonly port: number;
  process: LocalProcess;
}

export interface LocalPool {
  readonly agents: readonly LocalAgentProcess[];
  readonly gateway: LocalGatewayProcess | undefined;
  /** Stops everything, gateway first. */
  stop(): Promise<void>;
}

export interface PoolOptions {
  readonly servers: number;
  readonly clients: number;
  readonly dataRoot: string;
  /** Which ports the n-th agent takes. */
  readonly portsOf: (index: number) => AgentPorts;
  /** undefined: no gateway. */
  readonly gatewayPort: number | undefined;
  readonly extraAgentArgs?: readonly string[];
  readonly agentEnv?: Readonly<Record<string, string>>;
  readonly gatewayEnv?: Readonly<Record<string, string>>;
  readonly onOutput?: (name: string, text: string) => void;
}

/** Ports in blocks of ten from `base`: 8501 8511 … for HTTP and so on. */
export function blockPorts(base: number): (index: number) => AgentPorts {
  return (index) => {
    const at = base + index * 10;
    return { http: at + 1, dns: at + 2, server: at + 3, serfLan: at + 4, serfWan: at + 5 };
  };
}

/**
 * Ports that are free now and that the system gives to no outgoing connection: an agent that is started again finds its
 * own still free. Each process looks in a range of its own first.
 */
export async function freePorts(count: number): Promise<(index: number) => AgentPorts> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count * 5; tried++) {
    if (tried === RANGE_SIZE) throw new Error(`not ${count * 5} of ${RANGE_SIZE} ports are free`);
    const port = FIRST_PORT + ((process.pid * PORTS_PER_PROCESS + nextPort++) % RANGE_SIZE);
    if (await isFree(port)) ports.push(port);
  }
  return (index) => {
    const [http = 0, dns = 0, server = 0, serfLan = 0, serfWan = 0] = ports.slice(index * 5, index * 5 + 5);
    return { http, dns, server, serfLan, serfWan };
  };
}

/** Below where Linux takes ports for outgoing connections from (32768), above where services have theirs. */
const FIRST_PORT = 10_500;
const RANGE_SIZE = 22_000;
const PORTS_PER_PROCESS = 100;
let nextPort = 0;

/** Starts all processes and returns at once; see `waitUntilReady`. */
export function startPool(options: PoolOptions): LocalPool {
  const count = options.servers + options.clients;
  const agents = Array.from({ length: count }, (_, i) => startAgent(options, i));
  const gateway =
    options.gatewayPort === undefined ? undefined : startGateway(options, options.gatewayPort, agents);
  return {
    agents,
    gateway,
    async stop() {
      await gateway?.process.stop('SIGTERM', 5000);
      await Promise.all(agents.map((agent) => agent.process.stop('SIGKILL', 5000)));
    },
  };
}

/**
 * Waits until a leader is known, all agents are members and the gateway knows them.
 * @throws Error with the last output of a process that ended, or of the first agent when time is up
 */
export async function waitUntilReady(pool: LocalPool, timeoutMs = 60_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const dead = pool.agents.find((agent) => !agent.process.isRunning());
    if (dead !== undefined) throw new Error(`${dead.name} ended:\n${dead.process.output()}`);
    if (pool.gateway !== undefined && !pool.gateway.process.isRunning()) {
      throw new Error(`the gateway ended:\n${pool.gateway.process.output()}`);
    }
    if (await isReady(pool)) return;
    if (performance.now() > until) {
      throw new Error(`the pool was not ready within ${timeoutMs} ms:\n${pool.agents[0]?.process.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function isReady(pool: LocalPool): Promise<boolean> {
  const nodes = await Promise.all(
    pool.agents.map((agent) => fetchJson<{ Node: string }[]>(`${agent.url}/v1/catalog/nodes`)),
  );
  if (nodes.some((list) => list === undefined || list.length < pool.agents.length)) return false;
  if (pool.gateway === undefined) return true;
  return gatewaySeesAll(pool.gateway.url, pool.agents.length);
}

/** The gateway asks for the pool once a second: until it knows an agent, it gives it nothing. */
async function gatewaySeesAll(url: string, agents: number): Promise<boolean> {
  try {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(3000) });
    const metrics = await response.text();
    return metrics.includes(`proconsul_gateway_pool_nodes{state="usable"} ${agents}\n`);
  } catch {
    // Not up yet is an answer here.
    return false;
  }
}

/** undefined on any failure, a status other than 200 included. */
export async function fetchJson<T>(url: string): Promise<T | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(3000) });
    return response.ok ? ((await response.json()) as T) : undefined;
  } catch {
    // Not up yet is an answer here.
    return undefined;
  }
}

function startAgent(options: PoolOptions, index: number): LocalAgentProcess {
  const isServer = index < options.servers;
  const name = isServer ? `server${index + 1}` : `client${index - options.servers + 1}`;
  const ports = options.portsOf(index);
  const dataDir = join(options.dataRoot, name);
  mkdirSync(dataDir, { recursive: true });
  const join1 = options.portsOf(0).serfLan;
  const args = [
    AGENT_PROGRAM,
    'agent',
    ...(isServer ? ['-server', `-bootstrap-expect=${options.servers}`] : []),
    `-node=${name}`,
    `-data-dir=${dataDir}`,
    '-bind=127.0.0.1',
    '-client=127.0.0.1',
    `-retry-join=127.0.0.1:${join1}`,
    '-retry-interval=1s',
    `-http-port=${ports.http}`,
    `-dns-port=${ports.dns}`,
    `-server-port=${ports.server}`,
    `-serf-lan-port=${ports.serfLan}`,
    `-serf-wan-port=${ports.serfWan}`,
    ...(options.extraAgentArgs ?? []),
  ];
  const env = options.agentEnv ?? {};
  const start = () => startProcess({ name, args, env, onOutput: (text) => options.onOutput?.(name, text) });
  const agent: LocalAgentProcess = {
    name,
    role: isServer ? 'server' : 'client',
    ports,
    url: `http://127.0.0.1:${ports.http}`,
    dataDir,
    restart() {
      agent.process = start();
    },
    process: start(),
  };
  return agent;
}

function startGateway(
  options: PoolOptions,
  port: number,
  agents: readonly LocalAgentProcess[],
): LocalGatewayProcess {
  const nodes = agents.map((agent) => agent.url).join(',');
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    process: startProcess({
      name: 'gateway',
      args: [GATEWAY_PROGRAM],
      env: { GATEWAY_LISTEN: `127.0.0.1:${port}`, GATEWAY_NODES: nodes, ...options.gatewayEnv },
      onOutput: (text) => options.onOutput?.('gateway', text),
    }),
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
