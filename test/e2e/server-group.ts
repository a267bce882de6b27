/** A few servers as processes that tests kill, move, replace and recover: each with its own loopback address and data directory. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_PROGRAM, type AgentPorts, fetchJson, freePorts } from '../../launch/pool.ts';
import { type LocalProcess, startProcess } from '../../launch/process.ts';
import { type CliResult, cli } from './agent-process.ts';
import { eventually } from './eventually.ts';

/** Failures are noticed within a second or two, so that a rehearsal need not take minutes. */
const QUICK = [
  '-hcl=performance { raft_multiplier = 1, leave_drain_time = "500ms" }',
  '-hcl=autopilot { server_stabilization_time = "500ms" }',
  '-hcl=gossip_lan { probe_interval = "500ms", probe_timeout = "250ms", suspicion_mult = 2 }',
];

export interface ServerPlace {
  /** Node name. */
  readonly name: string;
  /** Loopback address to bind and to advertise: 127.0.0.N. */
  readonly address: string;
  /** Folder below the group's; a new one stands for a new machine. */
  readonly disk: string;
}

export interface RaftPeerRow {
  readonly ID: string;
  readonly Node: string;
  readonly Address: string;
  readonly Leader: boolean;
  readonly Voter: boolean;
}

/** One server: a place in the world and the process that runs there. */
export class GroupServer {
  readonly name: string;
  readonly dataDir: string;
  address: string;
  ports: AgentPorts;
  #process: LocalProcess | undefined;
  #isRetired = false;

  constructor(place: ServerPlace, dataDir: string, ports: AgentPorts) {
    this.name = place.name;
    this.address = place.address;
    this.dataDir = dataDir;
    this.ports = ports;
  }

  get url(): string {
    return `http://${this.address}:${this.ports.http}`;
  }

  get gossipAddress(): string {
    return `${this.address}:${this.ports.serfLan}`;
  }

  get rpcAddress(): string {
    return `${this.address}:${this.ports.server}`;
  }

  get process(): LocalProcess {
    if (this.#process === undefined) throw new Error(`${this.name} was never started`);
    return this.#process;
  }

  /** @param flags besides name, place, ports and the quick settings */
  start(flags: readonly string[]): void {
    // A test that ran out of time goes on behind the back of those who clean up.
    if (this.#isRetired) throw new Error(`${this.name} is gone for good`);
    this.#process = startProcess({
      name: this.name,
      args: [
        AGENT_PROGRAM,
        'agent',
        '-server',
        `-node=${this.name}`,
        `-data-dir=${this.dataDir}`,
        `-bind=${this.address}`,
        `-client=${this.address}`,
        `-http-port=${this.ports.http}`,
        '-dns-port=-1',
        `-server-port=${this.ports.server}`,
        `-serf-lan-port=${this.ports.serfLan}`,
        `-serf-wan-port=${this.ports.serfWan}`,
        '-retry-interval=1s',
        ...QUICK,
        ...flags,
      ],
    });
  }

  /** As when the power goes. */
  async die(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
  }

  /** Ends it and lets nobody start it again. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    if (this.#process?.isRunning()) await this.die();
  }

  /** The same machine and disk at another address, while it is stopped. */
  async moveTo(address: string): Promise<void> {
    this.address = address;
    this.ports = (await freePorts(1))(0);
  }

  cli(...args: string[]): Promise<CliResult> {
    return cli(this, ...args);
  }

  /** The Raft configuration by this server's view, undefined while there is no leader. */
  async peers(query = ''): Promise<readonly RaftPeerRow[] | undefined> {
    const answer = await fetchJson<{ Servers: RaftPeerRow[] }>(
      `${this.url}/v1/operator/raft/configuration${query}`,
    );
    return answer?.Servers;
  }
}

export interface ServerGroup {
  readonly root: string;
  place(place: ServerPlace): Promise<GroupServer>;
  /** Kills what still runs and removes the data. */
  close(): Promise<void>;
}

export function createServerGroup(): ServerGroup {
  const root = mkdtempSync(join(tmpdir(), 'proconsul-recovery-'));
  const servers: GroupServer[] = [];
  return {
    root,
    async place(place) {
      const server = new GroupServer(place, join(root, place.disk), (await freePorts(1))(0));
      servers.push(server);
      return server;
    },
    async close() {
      await Promise.all(servers.map((server) => server.retire()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Three servers that have found each other and lead. */
export async function startThree(
  group: ServerGroup,
  flags: readonly string[] = [],
): Promise<[GroupServer, GroupServer, GroupServer]> {
  const one = await group.place({ name: 's1', address: '127.0.0.1', disk: 'disk1' });
  const two = await group.place({ name: 's2', address: '127.0.0.1', disk: 'disk2' });
  const three = await group.place({ name: 's3', address: '127.0.0.1', disk: 'disk3' });
  const servers: [GroupServer, GroupServer, GroupServer] = [one, two, three];
  startAll(servers, ['-bootstrap-expect=3', ...flags]);
  await untilVoters(servers, servers);
  return servers;
}

/** Starts all, or only some, each told where the others are. */
export function startAll(
  servers: readonly GroupServer[],
  flags: readonly string[] = [],
  only: readonly GroupServer[] = servers,
): void {
  for (const server of only) server.start([...joinFlags(servers, server), ...flags]);
}

export function joinFlags(servers: readonly GroupServer[], self: GroupServer): string[] {
  return servers.filter((server) => server !== self).map((server) => `-retry-join=${server.gossipAddress}`);
}

/** Waits until every one of `views` says that exactly `voters` vote, at their addresses, and one of them leads. */
export async function untilVoters(
  views: readonly GroupServer[],
  voters: readonly GroupServer[],
  timeoutMs = 25_000,
): Promise<void> {
  const wanted = voters.map((server) => `${server.name} ${server.rpcAddress} true`).sort();
  for (const view of views) {
    let seen: readonly RaftPeerRow[] | undefined;
    await eventually(
      `${view.name} to see the voters ${wanted.join(', ')}`,
      async () => {
        if (!view.process.isRunning()) return true;
        seen = await view.peers();
        const rows = seen?.map((row) => `${row.Node} ${row.Address} ${row.Voter}`).sort();
        const isLed = seen?.some((row) => row.Leader) ?? false;
        return isLed && JSON.stringify(rows) === JSON.stringify(wanted) ? true : undefined;
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(
        `${String(error)}; it sees ${JSON.stringify(seen)}\n${voters.map((voter) => voter.process.output().slice(-4000)).join('\n')}`,
      );
    });
    if (!view.process.isRunning()) throw new Error(`${view.name} ended:\n${view.process.output()}`);
  }
}

/** Which of the servers leads, by its own word. */
export async function leaderOf(servers: readonly GroupServer[]): Promise<GroupServer> {
  return eventually('a leader', async () => {
    for (const server of servers) {
      const address = await fetchJson<string>(`${server.url}/v1/status/leader`);
      const leader = servers.find((candidate) => candidate.rpcAddress === address);
      if (leader !== undefined) return leader;
    }
    return undefined;
  });
}

/** Writes keys and remembers which of them were acknowledged, to ask for them after whatever happens. */
export class Ledger {
  readonly #acknowledged = new Map<string, string>();
  #next = 0;

  get size(): number {
    return this.#acknowledged.size;
  }

  /** Writes `count` keys through `server`. @throws Error when one was refused */
  async write(server: GroupServer, count: number): Promise<void> {
    for (let i = 0; i < count; i++) if (!(await this.#put(server))) throw new Error('a write was refused');
  }

  /** Writes until told to stop, refused or not. @returns what ends it, when the last write has its answer */
  keepWriting(server: GroupServer): () => Promise<void> {
    let isDone = false;
    const run = (async () => {
      while (!isDone) await this.#put(server);
    })();
    return async () => {
      isDone = true;
      await run;
    };
  }

  /** The acknowledged keys that `server` does not hold with their value, by a consistent read. */
  async missing(server: GroupServer, query = 'consistent'): Promise<readonly string[]> {
    const entries = await eventually('the keys', () =>
      fetchJson<{ Key: string; Value: string }[]>(`${server.url}/v1/kv/ledger/?recurse&${query}`),
    );
    const held = new Map(entries.map(({ Key, Value }) => [Key, Buffer.from(Value, 'base64').toString()]));
    return [...this.#acknowledged].filter(([key, value]) => held.get(key) !== value).map(([key]) => key);
  }

  async #put(server: GroupServer): Promise<boolean> {
    const n = this.#next++;
    const key = `ledger/${String(n).padStart(6, '0')}`;
    const value = `value ${n}`;
    try {
      const response = await fetch(`${server.url}/v1/kv/${key}`, {
        method: 'PUT',
        body: value,
        signal: AbortSignal.timeout(5000),
      });
      const isDone = response.status === 200 && (await response.text()).trim() === 'true';
      if (isDone) this.#acknowledged.set(key, value);
      return isDone;
    } catch {
      // No answer means no acknowledgement: the write may be there or not.
      return false;
    }
  }
}
