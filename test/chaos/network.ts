/**
 * A network of its own for a run: one namespace for the harness and its gateway, with a bridge, and one for each server.
 *
 * A cut makes a server send its packets for another one to an Ethernet address that nobody has. So they vanish without an
 * error, in one direction, and what runs on the other paths is not touched. It needs nothing but iproute2.
 */

import { execFileSync, spawnSync } from 'node:child_process';

/** The harness and the gateway; servers follow from 1. Not routed anywhere: these addresses exist in the namespaces only. */
const HUB_ADDRESS = '10.254.77.254';
const NOBODY = '02:00:00:00:00:01';

export function serverAddress(server: number): string {
  return `10.254.77.${server + 1}`;
}

/** Whether this process may make namespaces and links; tried out, and removed again. */
export function canMakeNamespaces(): boolean {
  const name = `pc-chaos-${process.pid}-try`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  const make = (...link: string[]) => spawnSync('ip', ['-n', name, 'link', 'add', ...link]).status === 0;
  const isDone = make('br0', 'type', 'bridge') && make('v0', 'type', 'veth', 'peer', 'name', 'v1');
  spawnSync('ip', ['netns', 'del', name]);
  return isDone;
}

/** What is left in the kernel is named after the process that made it, so that a later one can tell that it is dead. */
export class Network implements Disposable {
  readonly hub: string;
  readonly #servers: readonly string[];

  /** @param made by an earlier `create`, perhaps in another process */
  constructor(hub: string, servers: number) {
    this.hub = hub;
    this.#servers = Array.from({ length: servers }, (_, i) => `${hub}-s${i}`);
  }

  /** @throws Error with what `ip` said; nothing is left then */
  static create(servers: number): Network {
    removeAbandoned();
    const network = new Network(`pc-chaos-${process.pid}`, servers);
    try {
      network.#build();
    } catch (error) {
      network[Symbol.dispose]();
      throw error;
    }
    return network;
  }

  namespaceOf(server: number): string {
    const name = this.#servers[server];
    if (name === undefined) throw new Error(`there is no server ${server}`);
    return name;
  }

  /** What `from` sends to `to` is lost from now on; -1 stands for the harness. */
  cut(from: number, to: number): void {
    this.#ip(from, 'neigh', 'replace', addressOf(to), 'lladdr', NOBODY, 'dev', 'eth0', 'nud', 'permanent');
  }

  mend(from: number, to: number): void {
    // Asking anew who has the address: the entry that was made may be gone with its link.
    spawnSync('ip', ['-n', this.#spaceOf(from), 'neigh', 'del', addressOf(to), 'dev', 'eth0']);
  }

  /** Takes the server's cable out, or puts it back: it reaches nobody, and learns so at once. */
  plug(server: number, isIn: boolean): void {
    execIp('-n', this.hub, 'link', 'set', `s${server}`, isIn ? 'up' : 'down');
  }

  /** Ends what runs in the namespaces and removes them. */
  [Symbol.dispose](): void {
    for (const name of [...this.#servers, this.hub]) removeNamespace(name);
  }

  #build(): void {
    execIp('netns', 'add', this.hub);
    execIp('-n', this.hub, 'link', 'set', 'lo', 'up');
    execIp('-n', this.hub, 'link', 'add', 'eth0', 'type', 'bridge');
    execIp('-n', this.hub, 'address', 'add', `${HUB_ADDRESS}/24`, 'dev', 'eth0');
    execIp('-n', this.hub, 'link', 'set', 'eth0', 'up');
    this.#servers.forEach((name, server) => {
      const port = `s${server}`;
      execIp('netns', 'add', name);
      execIp('-n', this.hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      execIp('-n', this.hub, 'link', 'set', port, 'master', 'eth0');
      execIp('-n', this.hub, 'link', 'set', port, 'up');
      execIp('-n', name, 'link', 'set', 'lo', 'up');
      execIp('-n', name, 'address', 'add', `${serverAddress(server)}/24`, 'dev', 'eth0');
      execIp('-n', name, 'link', 'set', 'eth0', 'up');
    });
  }

  #ip(server: number, ...args: string[]): void {
    execIp('-n', this.#spaceOf(server), ...args);
  }

  #spaceOf(server: number): string {
    return server < 0 ? this.hub : this.namespaceOf(server);
  }
}

function addressOf(server: number): string {
  return server < 0 ? HUB_ADDRESS : serverAddress(server);
}

function execIp(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Namespaces of harnesses that were killed and could not clean up. */
function removeAbandoned(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const [name, pid] of stdout.matchAll(/^pc-chaos-(\d+)[-\w]*/gm)) {
    if (!isAlive(Number(pid))) removeNamespace(name);
  }
}

function removeNamespace(name: string): void {
  const { stdout, status } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
  // Whatever runs there was started by a harness: nobody else knows the name.
  if (status === 0) for (const pid of stdout.split('\n')) if (pid !== '') tryKill(Number(pid));
  spawnSync('ip', ['netns', 'del', name]);
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
