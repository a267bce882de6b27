/** Which members of a gossip pool are servers, and where their RPC listeners are (reference: pools, names, tags). */

/**
 * Where the agent's HTTP API listens, `ip:port`: gateways follow the pool by it. It is no Consul tag, so member lists
 * do not show it.
 */
export const HTTP_ADDRESS_TAG = 'pc_http';

/** The part of a gossip member that says whether it is a server. */
export interface PoolMember {
  readonly name: string;
  /** IP text. */
  readonly address: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: string;
}

/** The part of a gossip pool that routing needs. */
export interface MemberView {
  members(): readonly PoolMember[];
  /** Calls back on every event of the pool. @returns a function that ends the subscription */
  subscribe(listener: (event: { readonly kind: string }) => void): () => void;
}

export interface ServerMember {
  /** Node name without the datacenter that WAN names carry. */
  readonly name: string;
  /** Node UUID. */
  readonly id: string;
  readonly datacenter: string;
  /** `ip:port` of the RPC listener. */
  readonly address: string;
  readonly status: string;
  readonly bootstrap: boolean;
  /** 0 when not configured. */
  readonly expect: number;
  readonly raftVersion: string;
  /** `1.8.5`. */
  readonly build: string;
  readonly isNonVoter: boolean;
}

/** The member as a server; undefined when it is none or its tags do not parse. */
export function serverMember(member: PoolMember): ServerMember | undefined {
  const { tags } = member;
  if (tags.role !== 'consul') return undefined;
  const port = parsePort(tags.port);
  const build = /\d+\.\d+\.\d+/.exec(tags.build ?? '')?.[0];
  if (port === undefined || build === undefined || !isInteger(tags.vsn)) return undefined;
  if (!isInteger(tags.expect ?? '0') || !isInteger(tags.raft_vsn ?? '0')) return undefined;
  if (tags.wan_join_port !== undefined && parsePort(tags.wan_join_port) === undefined) return undefined;
  const datacenter = tags.dc ?? '';
  return {
    name: shortName(member.name, datacenter),
    id: tags.id ?? '',
    datacenter,
    address: hostPort(member.address, port),
    status: member.status,
    bootstrap: tags.bootstrap === '1',
    expect: Number(tags.expect ?? '0'),
    raftVersion: tags.raft_vsn ?? '',
    build,
    isNonVoter: tags.nonvoter === '1' || tags.read_replica === '1',
  };
}

/** `n1 (Addr: tcp/10.0.0.1:8300) (DC: dc1)`: how log lines name a server. */
export function describeServer(server: ServerMember): string {
  return `${server.name} (Addr: tcp/${server.address}) (DC: ${server.datacenter})`;
}

/** `host:port`, IPv6 in brackets. */
export function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The parts of `host:port` or `[v6]:port`; undefined when it is neither. */
export function splitHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = parsePort(parts?.[3]);
  return host === undefined || port === undefined ? undefined : { host, port };
}

function shortName(name: string, datacenter: string): string {
  const suffix = `.${datacenter}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

function isInteger(text: string | undefined): boolean {
  return text !== undefined && /^[+-]?\d+$/.test(text);
}

function parsePort(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
