/** Carries out the faults of a plan on a running world, and takes each back when its time is over. */

import { asNodeId } from '../../../node/raft/core/entry.ts';
import {
  announceRestart,
  type ClientAgent,
  type ServerAgent,
  type Surroundings,
  USUAL_DISK_MS,
} from './agents.ts';
import { describeFault, type Fault, type Target } from './faults.ts';
import type { Gateway } from './gateways.ts';
import type { Host } from './host.ts';
import { CALM, type Links } from './links.ts';

export interface Process {
  readonly host: Host;
  boot(): void;
  end(): void;
}

export interface Stage {
  readonly around: Surroundings;
  readonly links: Links;
  readonly servers: readonly ServerAgent[];
  readonly agents: readonly ClientAgent[];
  readonly gateways: readonly Gateway[];
  /** All of these, in the order of their numbers. */
  readonly machines: readonly Process[];
  /** Adds a server that joins the cluster; undefined when there are enough. */
  readonly addServer: () => void;
  readonly trace: (line: string) => void;
}

/** How long a supervisor takes to start a process again that ended by itself. */
const SUPERVISOR_MS = 400;
/** So many servers must stay members when one is removed by hand. */
const LEAST_MEMBERS = 3;

/** Invariant: everything in `#undo` is in force; `heal` leaves nothing in force and every process running. */
export class Mishaps {
  readonly #stage: Stage;
  readonly #undo = new Set<() => void>();
  /** Their disks fail, or will: that they stop is no news. */
  readonly #sick = new Set<ServerAgent>();
  /** A bit of their files has changed; how to change it back. */
  readonly #damaged = new Map<ServerAgent, () => void>();
  /** They will never run again. */
  readonly #ruined = new Set<ServerAgent>();
  #isOver = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  schedule(faults: readonly Fault[]): void {
    for (const fault of faults)
      this.#stage.around.clock.setTimer(fault.atMs, () => {
        if (!this.#isOver) this.#carryOut(fault);
      });
  }

  isRuined(server: ServerAgent): boolean {
    return this.#ruined.has(server);
  }

  /** A server's Raft has failed. @returns whether a fault explains that */
  explains(server: ServerAgent): boolean {
    const damage = this.#damaged.get(server);
    if (damage !== undefined) {
      server.end();
      if (this.#isNeeded(server)) this.#repair(server, damage);
      else this.#replace(server);
      return true;
    }
    if (!this.#sick.delete(server)) return false;
    this.#restart(server, SUPERVISOR_MS, false);
    return true;
  }

  /** Ends all faults at once and starts what is down. */
  heal(): void {
    this.#isOver = true;
    this.#stage.links.weather = CALM;
    for (const undo of [...this.#undo]) undo();
    for (const server of [...this.#sick]) {
      this.#sick.delete(server);
      server.end();
    }
    for (const process of this.#stage.machines) if (!process.host.isUp) this.#boot(process);
  }

  #carryOut(fault: Fault): void {
    this.#stage.trace(describeFault(fault));
    // The table has an entry for each kind, which takes the faults of that kind.
    const act = this.#acts[fault.kind] as (fault: Fault) => void;
    act(fault);
  }

  readonly #acts: { readonly [K in Fault['kind']]: (fault: Extract<Fault, { kind: K }>) => void } = {
    crash: ({ downMs, losesPower, target }) =>
      this.#onServer(target, (server) => this.#restart(server, downMs, losesPower)),
    'crash-all': ({ downMs, losesPower }) => {
      for (const server of this.#stage.servers)
        if (!this.isRuined(server)) this.#restart(server, downMs, losesPower);
    },
    'crash-agent': ({ agent, downMs }) => this.#restartSome(this.#stage.agents[agent], downMs),
    'crash-gateway': ({ downMs, gateway }) => this.#restartSome(this.#stage.gateways[gateway], downMs),
    pause: ({ forMs, target }) => this.#onServer(target, ({ host }) => host.pause(forMs)),
    isolate: ({ direction, forMs, target }) =>
      this.#onServer(target, (server) => this.#isolate(server, direction, forMs)),
    cut: ({ forMs, from, isOneWay, to }) =>
      this.#onPair(from, to, (a, b) => this.#cut(a, b, isOneWay, forMs)),
    partition: ({ forMs, side }) => {
      const { machines } = this.#stage;
      const near = machines.filter((_, i) => side.includes(i));
      const rest = machines.filter((_, i) => !side.includes(i));
      for (const a of near) for (const b of rest) this.#cut(a.host, b.host, false, forMs);
    },
    clog: ({ extraMs, forMs, from, to }) =>
      this.#onPair(from, to, (a, b) => {
        this.#stage.links.clog(a.ip, b.ip, extraMs);
        this.#later(forMs, () => this.#stage.links.clog(a.ip, b.ip, -extraMs));
      }),
    weather: ({ forMs, weather }) => {
      const { links } = this.#stage;
      links.weather = weather;
      this.#later(forMs, () => {
        if (links.weather === weather) links.weather = CALM;
      });
    },
    skew: ({ error, machine }) => this.#stage.machines[machine]?.host.skew(error),
    jump: ({ byMs, machine }) => this.#stage.machines[machine]?.host.jump(byMs),
    'slow-disk': ({ forMs, maxDelayMs, target }) =>
      this.#onServer(target, ({ disks }) => {
        disks.maxDelayMs = maxDelayMs;
        this.#later(forMs, () => {
          disks.maxDelayMs = USUAL_DISK_MS;
        });
      }),
    'full-disk': ({ leftBytes, target }) =>
      this.#onServer(target, (server) => {
        this.#sick.add(server);
        server.disk.fillUpAfter(leftBytes);
      }),
    'failing-sync': ({ afterSyncs, target }) =>
      this.#onServer(target, (server) => {
        this.#sick.add(server);
        server.disk.failSyncAfter(afterSyncs);
      }),
    'bit-flip': ({ at, downMs, target }) =>
      this.#onServer(target, (server) => {
        // One in a history: more than a minority of damaged disks is beyond what any cluster survives.
        if (this.#damaged.size > 0) return;
        this.#restart(server, downMs, false);
        this.#flipBit(server, at);
      }),
    transfer: () => this.#onServer('leader', ({ node }) => this.#note(node?.transferLeadership())),
    snapshot: ({ target }) => this.#onServer(target, ({ node }) => this.#note(node?.takeSnapshot())),
    'remove-server': ({ target }) => this.#onServer(target, (server) => this.#remove(server)),
    'add-server': () => this.#stage.addServer(),
  };

  #note(work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) => this.#stage.trace(`  ${String(error)}`));
  }

  #remove(server: ServerAgent): void {
    const leader = this.#stage.servers.find((each) => each.isLeader)?.node;
    const voters = leader?.status().peers.filter((peer) => peer.isVoter) ?? [];
    if (leader === undefined || voters.length <= LEAST_MEMBERS) return;
    // Nobody takes a server out on purpose when those that stay have lost their majority for good.
    const staying = voters.filter(({ id }) => id !== asNodeId(server.peer.id)).map(({ id }) => id as string);
    const sound = this.#stage.servers.filter(
      (each) => staying.includes(each.peer.id) && !this.#ruined.has(each),
    );
    if (2 * sound.length <= staying.length) return;
    this.#note(leader.changeMembership({ kind: 'remove', id: asNodeId(server.peer.id) }));
  }

  #flipBit(server: ServerAgent, at: number): void {
    const paths = server.disk.paths().filter((path) => (server.disk.contents(path)?.length ?? 0) > 0);
    const sizes = paths.map((path) => server.disk.contents(path)?.length ?? 0);
    let bit = Math.floor(at * 8 * sizes.reduce((sum, size) => sum + size, 0));
    for (const [i, path] of paths.entries()) {
      const size = sizes[i] ?? 0;
      if (bit >= 8 * size) {
        bit -= 8 * size;
        continue;
      }
      const before = new Uint8Array(server.disk.contents(path) ?? []);
      const bytes = before.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      server.disk.plant(path, bytes);
      this.#damaged.set(server, () => server.disk.plant(path, before));
      this.#stage.trace(`bit ${bit} of ${path} on ${server.host.name} has changed`);
      return;
    }
  }

  /**
   * Whether the cluster may have no quorum without it, so that an operator would rather bring its files back. A server
   * that is down, or behind, may have a change of the membership in its log that needs this one.
   */
  #isNeeded(server: ServerAgent): boolean {
    const others = this.#stage.servers.filter((each) => each !== server && !this.#ruined.has(each));
    if (others.some(({ node }) => node === undefined)) return true;
    const known = others.flatMap(({ node }) => node?.status() ?? []);
    if (new Set(known.map(({ configurationIndex }) => configurationIndex)).size > 1) return true;
    const newest = known.toSorted((a, b) => b.configurationIndex - a.configurationIndex)[0];
    const voters = newest?.peers.filter(({ isVoter }) => isVoter).map(({ id }) => id as string) ?? [];
    const voting = others.filter(({ peer }) => voters.includes(peer.id));
    return voters.length === 0 || 2 * voting.length <= voters.length;
  }

  #repair(server: ServerAgent, repair: () => void): void {
    this.#stage.trace(`${server.host.name} refuses its damaged files, which are brought back`);
    repair();
    this.#stage.around.clock.setTimer(SUPERVISOR_MS, () => this.#boot(server));
  }

  #replace(server: ServerAgent): void {
    this.#stage.trace(`${server.host.name} refuses its damaged files and is replaced`);
    this.#ruined.add(server);
    this.#stage.around.oracle.forget(server.host.name);
    this.#stage.addServer();
  }

  #isolate({ host }: ServerAgent, direction: 'both' | 'out' | 'in', forMs: number): void {
    for (const other of this.#stage.servers) {
      if (other.host === host) continue;
      if (direction === 'in') this.#cut(other.host, host, true, forMs);
      else this.#cut(host, other.host, direction === 'out', forMs);
    }
  }

  #cut(a: Host, b: Host, isOneWay: boolean, forMs: number): void {
    const { links } = this.#stage;
    links.cut(a.ip, b.ip);
    if (!isOneWay) links.cut(b.ip, a.ip);
    this.#later(forMs, () => {
      links.mend(a.ip, b.ip);
      if (!isOneWay) links.mend(b.ip, a.ip);
    });
  }

  #restart(process: Process, downMs: number, losesPower: boolean): void {
    if (!process.host.isUp) return;
    process.host.hasPower = !losesPower;
    process.end();
    this.#later(downMs, () => this.#boot(process));
  }

  #restartSome(process: Process | undefined, downMs: number): void {
    if (process !== undefined) this.#restart(process, downMs, false);
  }

  #boot(process: Process): void {
    if (process.host.isUp || [...this.#ruined].some((server) => server === process)) return;
    this.#stage.trace(`${process.host.name} starts again`);
    process.boot();
    announceRestart(process.host, this.#stage.around);
  }

  #later(ms: number, undo: () => void): void {
    const once = () => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.#stage.around.clock.setTimer(ms, once);
  }

  #onServer(target: Target, act: (server: ServerAgent) => void): void {
    const able = this.#stage.servers.filter((server) => server.isReady && !this.isRuined(server));
    const server =
      target === 'leader'
        ? able.find((each) => each.isLeader)
        : target === 'follower'
          ? able.find((each) => !each.isLeader)
          : able.find((each) => each === this.#stage.servers[target]);
    if (server === undefined) return;
    this.#stage.trace(`  on ${server.host.name}`);
    act(server);
  }

  #onPair(from: number, to: number, act: (a: Host, b: Host) => void): void {
    const a = this.#stage.machines[from];
    const b = this.#stage.machines[to];
    if (a !== undefined && b !== undefined) act(a.host, b.host);
  }
}
