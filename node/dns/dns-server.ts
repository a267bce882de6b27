/** The DNS server of an agent: UDP and TCP on every address, in front of one resolver. */

import { isIPv6 } from 'node:net';
import type { DnsResolver } from '../../shared/dns/resolver.ts';
import type { Env } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { listenTcp, type TcpLimits } from './tcp-listener.ts';
import { listenUdp, type UdpLimits, type UdpListener } from './udp-listener.ts';

export interface DnsServerOptions {
  /** IP addresses to bind, at least one. */
  readonly addresses: readonly string[];
  /** 0: any free port, which UDP and TCP of an address share. */
  readonly port: number;
  readonly resolver: DnsResolver;
  readonly env: Env;
  readonly log: Logger;
  readonly limits?: Partial<DnsServerLimits>;
}

export type DnsServerLimits = TcpLimits & UdpLimits;

export interface DnsServer {
  /** What is bound, in the order of the addresses given. */
  readonly addresses: readonly { readonly address: string; readonly port: number }[];
  /** Stops listening, drops connections, and resolves when everything is closed. May be called again. */
  close(): Promise<void>;
}

export const DEFAULT_DNS_SERVER_LIMITS: DnsServerLimits = {
  maxConnections: 1024,
  idleTimeoutMs: 8000,
  maxPipelined: 128,
  maxPending: 8192,
  maxUnsent: 4096,
};

/** A free UDP port may be taken for TCP; so often another one is tried. */
const PORT_ATTEMPTS = 20;

interface Bound {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Binds all addresses, or none.
 *
 * @throws ConsulError that names network, address and port of what could not be bound
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const limits = { ...DEFAULT_DNS_SERVER_LIMITS, ...options.limits };
  const bound: Bound[] = [];
  let closing: Promise<unknown> | undefined;
  const close = async () => {
    closing ??= Promise.all(bound.map((listener) => listener.close()));
    await closing;
  };
  try {
    for (const address of options.addresses) bound.push(await bindBoth(address, options, limits));
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { addresses: bound.map(({ address, port }) => ({ address, port })), close };
}

async function bindBoth(address: string, options: DnsServerOptions, limits: DnsServerLimits): Promise<Bound> {
  for (let attempt = 1; ; attempt++) {
    const udp = await bindUdp(address, options, limits);
    try {
      const tcp = await listenTcp(address, udp.port, options.resolver, limits, options.env, options.log);
      return {
        address,
        port: udp.port,
        close: async () => {
          await Promise.all([udp.close(), tcp.close()]);
        },
      };
    } catch (thrown) {
      await udp.close();
      const mayTryAnother = options.port === 0 && codeOf(thrown) === 'EADDRINUSE' && attempt < PORT_ATTEMPTS;
      if (!mayTryAnother) throw bindError('tcp', address, udp.port, thrown);
    }
  }
}

async function bindUdp(
  address: string,
  { port, resolver, log }: DnsServerOptions,
  limits: DnsServerLimits,
): Promise<UdpListener> {
  try {
    return await listenUdp(address, port, resolver, limits, log);
  } catch (thrown) {
    throw bindError('udp', address, port, thrown);
  }
}

const BIND_TEXTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

function bindError(network: 'udp' | 'tcp', address: string, port: number, thrown: unknown): ConsulError {
  const host = isIPv6(address) ? `[${address}]` : address;
  const reason = BIND_TEXTS[codeOf(thrown)] ?? (thrown instanceof Error ? thrown.message : String(thrown));
  const text = `Failed to start DNS server: listen ${network} ${host}:${port}: bind: ${reason}`;
  return new ConsulError('internal', 500, text, { cause: thrown, applied: 'no' });
}

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}
