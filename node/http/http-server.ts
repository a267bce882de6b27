/** The agent's HTTP server: listeners, connection limits, orderly end. */

import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../shared/env.ts';
import { MUX_PATH } from '../../shared/mux/frames.ts';
import { AgentCache } from './agent-cache.ts';
import { createDispatcher } from './dispatch.ts';
import { asksForMux, createMuxConnections, type MuxConnections } from './mux-connections.ts';
import type { BoundAddress, HttpServer, HttpServerOptions, ListenAddress } from './options.ts';
import { plainAddress } from './request.ts';
import { Router } from './router.ts';
import { ROUTES } from './routes/table.ts';
import { Waits } from './waits.ts';

export type { HttpServer, HttpServerOptions } from './options.ts';

const MAX_HEADER_BYTES = 1024 * 1024;
const TCP_KEEP_ALIVE_MS = 15_000;
const DEFAULT_GRACE_MS = 5000;

/**
 * Binds all addresses, or none.
 *
 * @throws Error `listen tcp 127.0.0.1:8500: bind: address already in use`, the system's error as its cause
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { dependencies } = options;
  const router = new Router(ROUTES);
  const lifetime = { waits: new Waits(), cache: new AgentCache(dependencies.env) };
  const connections = new ConnectionLimit(options.config.maxConnectionsPerClient);
  let dispatcher = createDispatcher(router, dependencies, options.config, lifetime);

  const muxes = createMuxConnections(
    (incoming, response) => dispatcher.dispatch(incoming, response),
    dependencies.log,
  );
  let { blockEndpoints } = options.config;
  // A blocked path is refused like any other; the gateway then stays with HTTP.
  const shouldUpgradeCallback = (incoming: IncomingMessage) =>
    asksForMux(incoming) && !blockEndpoints.some((prefix) => MUX_PATH.startsWith(prefix));

  const listeners = options.listen.map(() => {
    const server = createServer({ ...SERVER_OPTIONS, shouldUpgradeCallback }, (incoming, response) =>
      dispatcher.dispatch(incoming, response),
    );
    server.on('upgrade', (_incoming, socket, firstBytes) => muxes.open(socket, firstBytes));
    // Idle connections stay, as with Go; TCP keep-alive finds the dead ones and the limit bounds the rest.
    server.keepAliveTimeout = 0;
    server.on('connection', (socket) => connections.admit(socket));
    server.on('clientError', answerBrokenRequest);
    return server;
  });
  const addresses = await bindAll(listeners, options.listen);
  dependencies.log.debug('HTTP API is listening', { addresses: addresses.map(({ url }) => url).join(',') });

  let closing: Promise<void> | undefined;
  return {
    addresses,
    configure(config) {
      dispatcher = createDispatcher(router, dependencies, config, lifetime);
      connections.limit = config.maxConnectionsPerClient;
      blockEndpoints = config.blockEndpoints;
    },
    setMaxConnectionsPerClient(limit) {
      connections.limit = limit;
    },
    close(graceMs = DEFAULT_GRACE_MS) {
      lifetime.cache.close();
      closing ??= closeAll(listeners, muxes, lifetime.waits, dependencies.env.clock, graceMs);
      return closing;
    },
  };
}

const SERVER_OPTIONS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  noDelay: true,
};

/** Counts open connections by address. Invariant: `#open` has no zero entries. */
class ConnectionLimit {
  limit: number;
  readonly #open = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** One above the limit is closed without a byte. Unix sockets are not counted. */
  admit(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress);
    if (address === '') return;
    const open = (this.#open.get(address) ?? 0) + 1;
    this.#open.set(address, open);
    socket.once('close', () => this.#release(address));
    if (this.limit > 0 && open > this.limit) socket.destroy();
  }

  #release(address: string): void {
    const open = (this.#open.get(address) ?? 1) - 1;
    if (open === 0) this.#open.delete(address);
    else this.#open.set(address, open);
  }
}

/** Go's answers to what is no HTTP request. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = BROKEN_REQUEST_STATUS[error.code ?? ''] ?? 400;
  const text = `${status} ${STATUS_CODES[status]}`;
  socket.end(
    `HTTP/1.1 ${text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${text}`,
  );
}

const BROKEN_REQUEST_STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

async function bindAll(
  servers: readonly Server[],
  wanted: readonly ListenAddress[],
): Promise<BoundAddress[]> {
  const results = await Promise.allSettled(
    servers.map((server, i) => bind(server, wanted[i] ?? { host: '', port: 0 })),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined)
    return results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  for (const server of servers) server.close();
  throw failed.reason;
}

function bind(server: Server, wanted: ListenAddress): Promise<BoundAddress> {
  if ('path' in wanted) removeStaleSocket(wanted.path);
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) => reject(bindError(wanted, error)));
    server.listen(wanted, () => {
      server.removeAllListeners('error');
      resolve(boundAddress(server.address()));
    });
  });
}

/** A socket that an earlier run left behind would stand in the way, as would nothing else of that name. */
function removeStaleSocket(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSocket()) unlinkSync(path);
}

const BIND_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

function bindError(wanted: ListenAddress, error: Error & { code?: string }): Error {
  const where = 'path' in wanted ? `unix ${wanted.path}` : `tcp ${hostPort(wanted.host, wanted.port)}`;
  const why = BIND_FAILURES[error.code ?? ''] ?? error.message;
  return new Error(`listen ${where}: bind: ${why}`, { cause: error });
}

function boundAddress(address: AddressInfo | string | null): BoundAddress {
  if (typeof address === 'string') return { host: address, port: 0, url: `unix://${address}` };
  if (address === null) throw new Error('the listener has no address');
  return {
    host: address.address,
    port: address.port,
    url: `http://${hostPort(address.address, address.port)}`,
  };
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function closeAll(
  servers: readonly Server[],
  muxes: MuxConnections,
  waits: Waits,
  clock: Clock,
  graceMs: number,
): Promise<void> {
  const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
  closed.push(muxes.leave());
  waits.endAll();
  const drop = clock.setTimer(graceMs, () => {
    for (const server of servers) server.closeAllConnections();
    muxes.destroyAll();
  });
  const sweep = sweepIdle(servers, clock);
  await Promise.all(closed);
  drop.cancel();
  sweep.cancel();
}

const SWEEP_INTERVAL_MS = 50;

/** Connections that were busy when the end began become idle one by one. */
function sweepIdle(servers: readonly Server[], clock: Clock): Timer {
  let timer: Timer;
  const sweep = () => {
    for (const server of servers) server.closeIdleConnections();
    timer = clock.setTimer(SWEEP_INTERVAL_MS, sweep);
  };
  sweep();
  return { cancel: () => timer.cancel() };
}
