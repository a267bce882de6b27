/** The servers and the gateway of a run: started, killed, paused and started again; on loopback or each in a namespace. */

import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AGENT_PROGRAM,
  type AgentPorts,
  fetchJson,
  freePorts,
  GATEWAY_PROGRAM,
  type LocalAgentProcess,
  type LocalGatewayProcess,
  waitUntilReady,
} from '../../launch/pool.ts';
import { startProcess } from '../../launch/process.ts';
import { type Network, serverAddress } from './network.ts';

export interface ClusterOptions {
  readonly servers: number;
  readonly hasGateway: boolean;
  /** undefined: all on loopback. */
  readonly network: Network | undefined;
  /** Folder for what the processes print, one file each; undefined: not kept. */
  readonly logs: string | undefined;
}

interface Place {
  readonly address: string;
  readonly ports: AgentPorts;
  readonly wrapper: readonly string[];
}

const CONSUL_PORTS: AgentPorts = { http: 8500, dns: 8600, server: 8300, serfLan: 8301, serfWan: 8302 };
const OUTPUT_SHOWN = 3000;

/** Invariant: a server that is not in `#killed` runs, unless it ended by itself, and then `crashes` says so. */
export class Cluster {
  readonly servers: readonly LocalAgentProcess[];
  readonly gateway: LocalGatewayProcess | undefined;
  /** Processes that ended without being asked to, with the end of their output. */
  readonly crashes: string[] = [];
  readonly #dataRoot: string;
  readonly #logs: string | undefined;
  readonly #killed = new Set<number>();
  #isStopping = false;

  private constructor(
    dataRoot: string,
    logs: string | undefined,
    places: readonly Place[],
    gatewayPort: number | undefined,
  ) {
    this.#dataRoot = dataRoot;
    this.#logs = logs;
    if (logs !== undefined) mkdirSync(logs, { recursive: true });
    this.servers = places.map((place, server) => this.#startServer(places, place, server));
    this.gateway = gatewayPort === undefined ? undefined : this.#startGateway(gatewayPort);
  }

  /** Ready for requests when it resolves. @throws Error with the output of a process, and nothing runs then */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { servers, network, hasGateway } = options;
    const portsOf = await freePorts(servers + 1);
    const places = Array.from({ length: servers }, (_, server): Place => {
      if (network === undefined) return { address: '127.0.0.1', ports: portsOf(server), wrapper: [] };
      const wrapper = ['ip', 'netns', 'exec', network.namespaceOf(server)];
      return { address: serverAddress(server), ports: CONSUL_PORTS, wrapper };
    });
    const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-chaos-'));
    const cluster = new Cluster(
      dataRoot,
      options.logs,
      places,
      hasGateway ? portsOf(servers).http : undefined,
    );
    try {
      await cluster.untilReady();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Waits until all servers run, know each other and follow one leader, and the gateway knows them. */
  async untilReady(timeoutMs = 60_000): Promise<void> {
    const stop = async () => {};
    await waitUntilReady({ agents: this.servers, gateway: this.gateway, stop }, timeoutMs);
  }

  /** Base URLs for clients. */
  urls(): string[] {
    return this.gateway === undefined ? this.servers.map(({ url }) => url) : [this.gateway.url];
  }

  /** The server that most of those that answer take for the leader; undefined when none is known. */
  async leader(): Promise<number | undefined> {
    const answers = await Promise.all(
      this.servers.map((_, server) => (this.#killed.has(server) ? undefined : this.#leaderAsSeenBy(server))),
    );
    const votes = Map.groupBy(
      answers.filter((answer) => answer !== undefined),
      (answer) => answer,
    );
    return [...votes].sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
  }

  /** @returns false when it is dead already */
  async kill(server: number): Promise<boolean> {
    const agent = this.#server(server);
    if (this.#killed.has(server)) return false;
    this.#killed.add(server);
    agent.process.kill('SIGKILL');
    await agent.process.exited;
    return true;
  }

  /** After `kill`, on the same data. */
  restart(server: number): void {
    this.#killed.delete(server);
    this.#server(server).restart();
    this.#watch(server);
  }

  pause(server: number): void {
    this.#server(server).process.kill('SIGSTOP');
  }

  resume(server: number): void {
    this.#server(server).process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.gateway?.process.stop('SIGTERM', 3000);
    await Promise.all(this.servers.map((agent) => agent.process.stop('SIGKILL')));
    rmSync(this.#dataRoot, { recursive: true, force: true });
  }

  #server(server: number): LocalAgentProcess {
    const agent = this.servers[server];
    if (agent === undefined) throw new Error(`there is no server ${server}`);
    return agent;
  }

  async #leaderAsSeenBy(server: number): Promise<number | undefined> {
    const leader = await fetchJson<string>(`${this.#server(server).url}/v1/status/leader`);
    const found = this.servers.findIndex(
      (agent) => leader === `${new URL(agent.url).hostname}:${agent.ports.server}`,
    );
    return found === -1 ? undefined : found;
  }

  #startServer(
    places: readonly Place[],
    { address, ports, wrapper }: Place,
    server: number,
  ): LocalAgentProcess {
    const name = `server${server + 1}`;
    const dataDir = join(this.#dataRoot, name);
    const args = [
      AGENT_PROGRAM,
      'agent',
      '-server',
      `-bootstrap-expect=${places.length}`,
      `-node=${name}`,
      `-data-dir=${dataDir}`,
      `-bind=${address}`,
      `-client=${address}`,
      ...places.map((place) => `-retry-join=${place.address}:${place.ports.serfLan}`),
      '-retry-interval=1s',
      `-http-port=${ports.http}`,
      `-dns-port=${ports.dns}`,
      `-server-port=${ports.server}`,
      `-serf-lan-port=${ports.serfLan}`,
      `-serf-wan-port=${ports.serfWan}`,
    ];
    const start = () => startProcess({ name, args, wrapper, onOutput: (text) => this.#log(name, text) });
    const agent: LocalAgentProcess = {
      name,
      role: 'server',
      ports,
      url: `http://${address}:${ports.http}`,
      dataDir,
      process: start(),
      restart() {
        agent.process = start();
      },
    };
    this.#watchProcess(agent, server);
    return agent;
  }

  #startGateway(port: number): LocalGatewayProcess {
    const env = {
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      GATEWAY_NODES: this.servers.map(({ url }) => url).join(','),
    };
    const process = startProcess({
      name: 'gateway',
      args: [GATEWAY_PROGRAM],
      env,
      onOutput: (text) => this.#log('gateway', text),
    });
    void process.exited.then(() => {
      if (!this.#isStopping)
        this.crashes.push(`the gateway ended:\n${process.output().slice(-OUTPUT_SHOWN)}`);
    });
    return { port, url: `http://127.0.0.1:${port}`, process };
  }

  #log(name: string, text: string): void {
    if (this.#logs !== undefined) appendFileSync(join(this.#logs, `${name}.log`), text);
  }

  #watch(server: number): void {
    this.#watchProcess(this.#server(server), server);
  }

  #watchProcess(agent: LocalAgentProcess, server: number): void {
    const { process, name } = agent;
    void process.exited.then(({ code, signal }) => {
      if (this.#isStopping || this.#killed.has(server)) return;
      const output = process.output().slice(-OUTPUT_SHOWN);
      this.crashes.push(`${name} ended by itself (${signal ?? `status ${code}`}):\n${output}`);
    });
  }
}
