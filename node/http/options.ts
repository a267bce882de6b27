/** What the HTTP server is given: where to listen, whom to ask, and the settings of the agent that shape answers. */

import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import type { Backend } from '../rpc/backend.ts';
import type { AgentApi } from './agent-api.ts';

/** A TCP address (port 0: the system chooses) or the path of a unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** The objects that a filter expression may run over here; servers filter everything else themselves. */
export type FilterRoot = 'agent-service' | 'check';

export interface HttpDependencies {
  readonly backend: Backend;
  readonly agent: AgentApi;
  readonly env: Env;
  /** Where request times are counted. */
  readonly metrics?: Metrics;
  /** `agent.http`. */
  readonly log: Logger;
  /**
   * Compiles a filter expression into a predicate over objects of that kind.
   * @throws ConsulError 500 `Failed to create boolean expression evaluator: …`
   */
  readonly compileFilter: (root: FilterRoot, expression: string) => (candidate: unknown) => boolean;
}

export interface UiAsset {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** Quoted; changes with the body. Without it nothing is cached. */
  readonly etag?: string;
  /** Names and values in turn, in place of those that guard the built-in UI. */
  readonly headers?: readonly string[];
}

/** Settings; durations in milliseconds, sizes in bytes. All of it may change by `HttpServer.configure`. */
export interface HttpConfig {
  readonly datacenter: string;
  readonly nodeName: string;
  /** JSON is indented even without `?pretty`. */
  readonly isDevMode: boolean;
  /** Added to the answers of registered endpoints. */
  readonly responseHeaders: Readonly<Record<string, string>>;
  /** Path prefixes that answer 403. */
  readonly blockEndpoints: readonly string[];
  /** CIDR blocks that may send anything but GET, HEAD and OPTIONS; empty: everyone. */
  readonly allowWriteHttpFrom: readonly string[];
  readonly kvMaxValueSize: number;
  readonly txnMaxReqLen: number;
  /** How long a blocking query waits when the caller does not say. */
  readonly defaultQueryTimeMs: number;
  /** Longest wait of a blocking query, > 0. */
  readonly maxQueryTimeMs: number;
  readonly disableHttpUnprintableCharFilter: boolean;
  /** > 0 turns default reads of catalog and health into stale ones with this bound. */
  readonly discoveryMaxStaleMs: number;
  /** Whether `?cached` means anything. */
  readonly useCache: boolean;
  readonly disableCoordinates: boolean;
  readonly translateWanAddrs: boolean;
  /** Open connections one IP address may have; more are closed without a byte. 0: no limit. */
  readonly maxConnectionsPerClient: number;
  /** Token of requests that bring none; '' is anonymous. */
  readonly defaultToken: string;
  /** One server span per request. */
  readonly isTracing: boolean;
  /** `/debug/pprof/` answers. */
  readonly enableDebug: boolean;
  readonly uiEnabled: boolean;
  /** Begins and ends with a slash. */
  readonly uiContentPath: string;
  /** A file of the UI bundle by its path below the content path, such as `index.html`. */
  readonly uiAssets?: ((path: string) => UiAsset | undefined) | undefined;
}

/** Consul's defaults, for whatever the caller does not set. */
export const DEFAULT_HTTP_CONFIG: HttpConfig = {
  datacenter: 'dc1',
  nodeName: '',
  isDevMode: false,
  responseHeaders: {},
  blockEndpoints: [],
  allowWriteHttpFrom: [],
  kvMaxValueSize: 512 * 1024,
  txnMaxReqLen: 512 * 1024,
  defaultQueryTimeMs: 300_000,
  maxQueryTimeMs: 600_000,
  disableHttpUnprintableCharFilter: false,
  discoveryMaxStaleMs: 0,
  useCache: true,
  disableCoordinates: false,
  translateWanAddrs: false,
  maxConnectionsPerClient: 200,
  defaultToken: '',
  isTracing: false,
  enableDebug: false,
  uiEnabled: false,
  uiContentPath: '/ui/',
};

export interface HttpServerOptions {
  readonly listen: readonly ListenAddress[];
  readonly dependencies: HttpDependencies;
  readonly config: HttpConfig;
}

/** A bound address: `host:port`, or the socket's path. */
export interface BoundAddress {
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** `http://host:port`, or `unix://path`. */
  readonly url: string;
}

export interface HttpServer {
  /** In the order in which they were asked for. */
  readonly addresses: readonly BoundAddress[];
  /** Replaces the settings; requests under way keep the old ones. */
  configure(config: HttpConfig): void;
  /** Open connections stay. */
  setMaxConnectionsPerClient(limit: number): void;
  /**
   * Stops accepting, ends blocking queries, lets other requests finish for at most `graceMs` (default 5000), then
   * drops what is left. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}
