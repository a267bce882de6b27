/** The gateway's settings: read from flags and environment, validated up front, frozen. */

import { DurationSyntaxError, parseDurationMs } from '../../shared/durations.ts';
import { type LogLevel, parseLogLevel } from '../../shared/log.ts';
import { type AddressBlocks, parseBlocks } from '../limits/address-blocks.ts';
import type { RateLimit } from '../limits/token-bucket.ts';

export interface GatewaySettings {
  /** Where the Node runtime listens. Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Path of the certificate chain (PEM) with which the Node runtime serves HTTPS; '' serves clear text. */
  readonly tlsCertPath: string;
  /** Path of the certificate's private key (PEM); '' exactly when `tlsCertPath` is. */
  readonly tlsKeyPath: string;
  /** Base URLs of agents to start from, without a trailing slash; at least one. The rest of the pool is discovered. */
  readonly nodes: readonly string[];
  /** '' keeps last-known-good answers in this process only. */
  readonly redisUrl: string;
  /** '' leaves tracing off. */
  readonly telemetryEndpoint: string;
  readonly logLevel: LogLevel;
  /** How often the pool is asked who belongs to it. Longer means that joins and leader changes show later. */
  readonly pollMs: number;
  /** How long a request may look for a node that can serve it. Shorter turns a leader change into errors. */
  readonly retryDeadlineMs: number;
  /** How long one attempt of a read may take to its first byte; must exceed the 7 s for which an agent waits for a leader. */
  readonly readTimeoutMs: number;
  /** How long a write may take to its first byte before its outcome counts as unknown. */
  readonly writeTimeoutMs: number;
  /** Longest wait of one upstream leg of a blocking query; 0 sends waits as they came. For runtimes that cut long requests. */
  readonly legMs: number;
  /** Request bodies up to this size are kept so that they can be sent again; longer ones are streamed once. Bytes. */
  readonly bodyLimitBytes: number;
  /** Responses up to this size are collected, so that they can be shared, cached and retried; longer ones are streamed. */
  readonly answerLimitBytes: number;
  /** Requests in progress, waits included. Beyond it callers get 503. */
  readonly maxInFlight: number;
  /** Connections to one agent for requests that are answered at once. With `maxWaits` below the agent's per-address limit (200). */
  readonly maxConnections: number;
  /** Connections to one agent for blocking queries and streams. */
  readonly maxWaits: number;
  /** Whether agents that offer it are reached over one multiplexed connection instead. */
  readonly mux: boolean;
  /** How long a request may take to arrive, body included. */
  readonly requestTimeoutMs: number;
  /** Longest request header block accepted, bytes. */
  readonly maxHeaderBytes: number;
  /** One upstream request for identical concurrent reads. Off where requests can't share work. */
  readonly collapse: boolean;
  /** Kept-fresh views at most; each holds one wait at an agent. 0 turns them off. */
  readonly maxViews: number;
  /** Memory for views, and as much again for the topics of streams of changes, bytes. */
  readonly viewBytes: number;
  /** How long a last-known-good answer may be used. */
  readonly staleKeepMs: number;
  /** DNS zone answered over HTTPS, with the final dot. */
  readonly domain: string;
  /** Name of the local datacenter in DNS names. */
  readonly datacenter: string;
  /** Whether the Node runtime serves the web UI by itself; otherwise `/` and `/ui/` are the agents'. */
  readonly ui: boolean;
  /** How long a stop waits for requests in progress. */
  readonly drainMs: number;
  /** Requests with one ACL token; undefined: as many as come. */
  readonly tokenLimit: RateLimit | undefined;
  /** Requests from one address; undefined: as many as come. */
  readonly addressLimit: RateLimit | undefined;
  /** One line for each request. */
  readonly accessLog: 'off' | 'json' | 'common';
  /** File that the Node runtime appends them to; '' for standard output. */
  readonly accessLogPath: string;
  /** Proxies whose `X-Forwarded-For` is believed when addresses are counted. */
  readonly trustedProxies: AddressBlocks;
}

/** A setting is missing or wrong. The message says what to do. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Variables = Readonly<Record<string, string | undefined>>;
type Parse<T> = (text: string, source: string) => T;

interface Setting<T> {
  readonly variable: string;
  /** Command line name without the dash; '' when there is none. */
  readonly flag: string;
  readonly fallback: string | undefined;
  readonly parse: Parse<T>;
}

const SETTINGS: { readonly [K in keyof GatewaySettings]: Setting<GatewaySettings[K]> } = {
  listen: setting('GATEWAY_LISTEN', 'listen', '127.0.0.1:8500', parseListen),
  tlsCertPath: setting('GATEWAY_TLS_CERT', 'tls-cert', '', (text) => text),
  tlsKeyPath: setting('GATEWAY_TLS_KEY', 'tls-key', '', (text) => text),
  nodes: setting('GATEWAY_NODES', 'nodes', undefined, parseNodes),
  redisUrl: setting('REDIS_URL', '', '', parseRedisUrl),
  telemetryEndpoint: setting('OTEL_EXPORTER_OTLP_ENDPOINT', '', '', (text) => text),
  logLevel: setting('GATEWAY_LOG_LEVEL', 'log-level', 'INFO', parseLevel),
  pollMs: setting('GATEWAY_POLL_INTERVAL', 'poll-interval', '1s', durationBetween(50, 60_000)),
  retryDeadlineMs: setting('GATEWAY_RETRY_DEADLINE', 'retry-deadline', '10s', durationBetween(0, 120_000)),
  readTimeoutMs: setting('GATEWAY_READ_TIMEOUT', 'read-timeout', '9s', durationBetween(100, 600_000)),
  writeTimeoutMs: setting('GATEWAY_WRITE_TIMEOUT', 'write-timeout', '30s', durationBetween(100, 600_000)),
  legMs: setting('GATEWAY_LEG', 'leg', '0s', durationBetween(0, 600_000)),
  bodyLimitBytes: setting('GATEWAY_BODY_LIMIT', 'body-limit', '1048576', integerBetween(0, 2 ** 30)),
  answerLimitBytes: setting('GATEWAY_ANSWER_LIMIT', 'answer-limit', '1048576', integerBetween(0, 2 ** 30)),
  maxInFlight: setting('GATEWAY_MAX_IN_FLIGHT', 'max-in-flight', '50000', integerBetween(1, 1e6)),
  maxConnections: setting('GATEWAY_MAX_CONNECTIONS', 'max-connections', '64', integerBetween(1, 10_000)),
  maxWaits: setting('GATEWAY_MAX_WAITS', 'max-waits', '128', integerBetween(1, 100_000)),
  mux: setting('GATEWAY_MUX', 'mux', 'true', parseSwitch),
  requestTimeoutMs: setting(
    'GATEWAY_REQUEST_TIMEOUT',
    'request-timeout',
    '5m',
    durationBetween(100, 86_400_000),
  ),
  maxHeaderBytes: setting('GATEWAY_MAX_HEADER', 'max-header', '1048576', integerBetween(1024, 2 ** 24)),
  collapse: setting('GATEWAY_COLLAPSE', 'collapse', 'true', parseSwitch),
  maxViews: setting('GATEWAY_VIEWS', 'views', '4096', integerBetween(0, 1e6)),
  viewBytes: setting('GATEWAY_VIEW_BYTES', 'view-bytes', '67108864', integerBetween(1024, 2 ** 34)),
  staleKeepMs: setting('GATEWAY_STALE_KEEP', 'stale-keep', '1h', durationBetween(0, 7 * 86_400_000)),
  domain: setting('GATEWAY_DOMAIN', 'domain', 'consul.', parseDomain),
  datacenter: setting('GATEWAY_DATACENTER', 'datacenter', 'dc1', parseDatacenter),
  ui: setting('GATEWAY_UI', 'ui', 'true', parseSwitch),
  drainMs: setting('GATEWAY_DRAIN', 'drain', '5s', durationBetween(0, 600_000)),
  tokenLimit: setting('GATEWAY_RATE_LIMIT_TOKEN', 'rate-limit-token', '', parseRateLimit),
  addressLimit: setting('GATEWAY_RATE_LIMIT_ADDRESS', 'rate-limit-address', '', parseRateLimit),
  accessLog: setting('GATEWAY_ACCESS_LOG', 'access-log', 'off', parseAccessLog),
  accessLogPath: setting('GATEWAY_ACCESS_LOG_FILE', 'access-log-file', '', (text) => text),
  trustedProxies: setting('GATEWAY_TRUSTED_PROXIES', 'trusted-proxies', '', parseProxies),
};

/** What `-help` prints. */
export function describeSettings(): string {
  const lines = Object.values(SETTINGS).map(({ variable, flag, fallback }) => {
    const name = flag === '' ? variable : `-${flag}, ${variable}`;
    return `  ${name.padEnd(44)}${fallback === undefined ? '(required)' : `default ${fallback || 'none'}`}`;
  });
  return ['Usage: proconsul-gateway -nodes=http://HOST:PORT[,…] [options]', '', ...lines].join('\n');
}

/**
 * Reads the settings. Flags (`-name value`, `-name=value`, one dash or two) win over variables, those over defaults.
 *
 * @throws SettingsError naming the flag or variable and what it must be
 */
export function parseSettings(variables: Variables, args: readonly string[] = []): GatewaySettings {
  const flags = parseFlags(args);
  const read = <T>({ variable, flag, fallback, parse }: Setting<T>): T => {
    const given = flag === '' ? undefined : flags.get(flag);
    if (given !== undefined) return parse(given, `-${flag}`);
    const value = variables[variable];
    if (value !== undefined && value !== '') return parse(value, variable);
    return parse(fallback ?? '', `-${flag} or ${variable}`);
  };
  const [tlsCertPath, tlsKeyPath] = bothOrNeither(read(SETTINGS.tlsCertPath), read(SETTINGS.tlsKeyPath));
  return Object.freeze({
    listen: Object.freeze(read(SETTINGS.listen)),
    tlsCertPath,
    tlsKeyPath,
    nodes: Object.freeze(read(SETTINGS.nodes)),
    redisUrl: read(SETTINGS.redisUrl),
    telemetryEndpoint: read(SETTINGS.telemetryEndpoint),
    logLevel: read(SETTINGS.logLevel),
    pollMs: read(SETTINGS.pollMs),
    retryDeadlineMs: read(SETTINGS.retryDeadlineMs),
    readTimeoutMs: read(SETTINGS.readTimeoutMs),
    writeTimeoutMs: read(SETTINGS.writeTimeoutMs),
    legMs: read(SETTINGS.legMs),
    bodyLimitBytes: read(SETTINGS.bodyLimitBytes),
    answerLimitBytes: read(SETTINGS.answerLimitBytes),
    maxInFlight: read(SETTINGS.maxInFlight),
    maxConnections: read(SETTINGS.maxConnections),
    maxWaits: read(SETTINGS.maxWaits),
    mux: read(SETTINGS.mux),
    requestTimeoutMs: read(SETTINGS.requestTimeoutMs),
    maxHeaderBytes: read(SETTINGS.maxHeaderBytes),
    collapse: read(SETTINGS.collapse),
    maxViews: read(SETTINGS.maxViews),
    viewBytes: read(SETTINGS.viewBytes),
    staleKeepMs: read(SETTINGS.staleKeepMs),
    domain: read(SETTINGS.domain),
    datacenter: read(SETTINGS.datacenter),
    ui: read(SETTINGS.ui),
    drainMs: read(SETTINGS.drainMs),
    tokenLimit: read(SETTINGS.tokenLimit),
    addressLimit: read(SETTINGS.addressLimit),
    accessLog: read(SETTINGS.accessLog),
    accessLogPath: read(SETTINGS.accessLogPath),
    trustedProxies: read(SETTINGS.trustedProxies),
  });
}

function setting<T>(
  variable: string,
  flag: string,
  fallback: string | undefined,
  parse: Parse<T>,
): Setting<T> {
  return { variable, flag, fallback, parse };
}

function parseFlags(args: readonly string[]): Map<string, string> {
  const known = new Set(Object.values(SETTINGS).map(({ flag }) => flag));
  const flags = new Map<string, string>();
  for (let at = 0; at < args.length; at++) {
    const [, name, inline] = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(args[at] ?? '') ?? [];
    if (name === undefined || !known.has(name))
      throw new SettingsError(
        `Unknown argument ${JSON.stringify(args[at])}. Run with -help to see the options.`,
      );
    const value = inline ?? args[++at];
    if (value === undefined) throw new SettingsError(`-${name} needs a value, as in -${name}=VALUE.`);
    flags.set(name, value);
  }
  return flags;
}

function parseListen(text: string, source: string): { host: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535)
    throw new SettingsError(
      `${source} must be HOST:PORT, such as 127.0.0.1:8500; got ${JSON.stringify(text)}.`,
    );
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? '0.0.0.0' : host, port };
}

/** A certificate is of no use without its key, and the other way round. */
function bothOrNeither(certPath: string, keyPath: string): readonly [certPath: string, keyPath: string] {
  if ((certPath === '') === (keyPath === '')) return [certPath, keyPath];
  const missing = certPath === '' ? '-tls-cert or GATEWAY_TLS_CERT' : '-tls-key or GATEWAY_TLS_KEY';
  throw new SettingsError(
    `HTTPS needs a certificate and its private key, both as paths of PEM files: set ${missing} too, or neither for clear text.`,
  );
}

function parseNodes(text: string, source: string): readonly string[] {
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (urls.length === 0)
    throw new SettingsError(
      `No agents are configured. Set ${source} to the HTTP address of at least one Consul-compatible agent, such as -nodes=http://127.0.0.1:8501; the others are found through it.`,
    );
  return urls.map((url) => baseUrl(url, source));
}

function baseUrl(text: string, source: string): string {
  const withScheme = text.includes('://') ? text : `http://${text}`;
  const url = URL.parse(withScheme);
  const isPlain =
    url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw new SettingsError(
      `${source} must list base URLs such as http://10.0.0.1:8500, separated by commas; got ${JSON.stringify(text)}.`,
    );
  return url.origin;
}

function parseRedisUrl(text: string, source: string): string {
  if (text !== '' && !/^rediss?:\/\//.test(text))
    throw new SettingsError(`${source} must start with redis:// or rediss://; got ${JSON.stringify(text)}.`);
  return text;
}

function parseLevel(text: string, source: string): LogLevel {
  const level = parseLogLevel(text);
  if (level === undefined)
    throw new SettingsError(
      `${source} must be one of trace, debug, info, warn, err; got ${JSON.stringify(text)}.`,
    );
  return level;
}

function durationBetween(minMs: number, maxMs: number): Parse<number> {
  return (text, source) => {
    const ms = durationMs(text, source);
    if (ms < minMs || ms > maxMs)
      throw new SettingsError(
        `${source} must lie between ${minMs}ms and ${maxMs}ms; got ${JSON.stringify(text)}.`,
      );
    return ms;
  };
}

function durationMs(text: string, source: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (!(error instanceof DurationSyntaxError)) throw error;
    throw new SettingsError(
      `${source} must be a duration such as 500ms or 10s; got ${JSON.stringify(text)}.`,
    );
  }
}

function integerBetween(min: number, max: number): Parse<number> {
  return (text, source) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new SettingsError(
        `${source} must be a whole number from ${min} to ${max}; got ${JSON.stringify(text)}.`,
      );
    return value;
  };
}

function parseAccessLog(text: string, source: string): 'off' | 'json' | 'common' {
  if (text === 'off' || text === 'json' || text === 'common') return text;
  throw new SettingsError(`${source} must be off, json or common; got ${JSON.stringify(text)}.`);
}

/** `RATE/BURST`, or `RATE` for a burst of one second's worth; '' and 0 for no limit. */
function parseRateLimit(text: string, source: string): RateLimit | undefined {
  if (text === '' || text === '0') return undefined;
  const [, rateText = '', burstText] = /^(\d{1,9}(?:\.\d{1,3})?)(?:\/(\d{1,9}))?$/.exec(text) ?? [];
  const perSecond = Number(rateText);
  const burst = burstText === undefined ? Math.max(1, Math.ceil(perSecond)) : Number(burstText);
  if (rateText === '' || perSecond <= 0 || burst < 1)
    throw new SettingsError(
      `${source} must be requests per second and requests at once, such as 100/200, or 0 for no limit; got ${JSON.stringify(text)}.`,
    );
  return Object.freeze({ perSecond, burst });
}

function parseProxies(text: string, source: string): AddressBlocks {
  const parts = text.split(',').map((part) => part.trim());
  const blocks = parseBlocks(parts.filter((part) => part !== ''));
  if (blocks === undefined)
    throw new SettingsError(
      `${source} must list addresses or blocks such as 10.0.0.0/8, separated by commas; got ${JSON.stringify(text)}.`,
    );
  return blocks;
}

function parseSwitch(text: string, source: string): boolean {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new SettingsError(`${source} must be true or false; got ${JSON.stringify(text)}.`);
}

function parseDomain(text: string, source: string): string {
  const domain = `${text.toLowerCase().replace(/\.$/, '')}.`;
  if (!/^([a-z0-9_-]{1,63}\.)+$/.test(domain))
    throw new SettingsError(`${source} must be a DNS zone such as consul.; got ${JSON.stringify(text)}.`);
  return domain;
}

function parseDatacenter(text: string, source: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(text))
    throw new SettingsError(
      `${source} must be a datacenter name (letters, digits, - and _); got ${JSON.stringify(text)}.`,
    );
  return text.toLowerCase();
}
