/** Slices of the configuration in the form that each part of the agent takes. */

import { isIPv4 } from 'node:net';
import { DEFAULT_DNS_CONFIG, type DnsConfig } from '../../shared/dns/config.ts';
import type { Config } from '../config/config.ts';
import { DEFAULT_HTTP_CONFIG, type HttpConfig, type ListenAddress } from '../http/options.ts';
import type { RateLimit } from '../rpc/rate-limiter.ts';
import type { RaftSettings } from '../server/options.ts';

export function raftSettings(config: Config): RaftSettings {
  return {
    multiplier: config.raftMultiplier,
    snapshotIntervalMs: config.raftSnapshotIntervalMs,
    snapshotThreshold: config.raftSnapshotThreshold,
    trailingLogs: config.raftTrailingLogs,
  };
}

export function rpcRateLimit(config: Config): RateLimit {
  return { perSecond: config.rpcRate, burst: Math.max(1, config.rpcMaxBurst) };
}

/** `lan`, `wan` and their twins by family, overlaid with configured ones. */
export function taggedAddresses(config: Config): Record<string, string> {
  const { advertiseAddress: lan, advertiseAddressWan: wan } = config;
  const family = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6');
  return {
    lan,
    [`lan_${family(lan)}`]: lan,
    wan,
    [`wan_${family(wan)}`]: wan,
    ...config.taggedAddresses,
  };
}

export function listenAddresses(config: Config): ListenAddress[] {
  return config.httpAddresses.map((address) =>
    address.startsWith('unix://')
      ? { path: address.slice('unix://'.length) }
      : { host: address.replace(/^\[|\]$/g, ''), port: config.ports.http },
  );
}

export function httpConfig(config: Config): HttpConfig {
  return {
    ...DEFAULT_HTTP_CONFIG,
    datacenter: config.datacenter,
    nodeName: config.nodeName,
    isDevMode: config.isDev,
    responseHeaders: config.http.responseHeaders,
    blockEndpoints: config.http.blockEndpoints,
    allowWriteHttpFrom: config.http.allowWriteHttpFrom,
    kvMaxValueSize: config.kvMaxValueSize,
    txnMaxReqLen: config.txnMaxReqLen,
    defaultQueryTimeMs: config.defaultQueryTimeMs,
    maxQueryTimeMs: config.maxQueryTimeMs,
    disableHttpUnprintableCharFilter: config.disableHttpUnprintableCharFilter,
    discoveryMaxStaleMs: config.discoveryMaxStaleMs,
    useCache: config.http.useCache,
    disableCoordinates: config.disableCoordinates,
    translateWanAddrs: config.translateWanAddrs,
    maxConnectionsPerClient: config.http.maxConnsPerClient,
    isTracing: (process.env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '') !== '',
    enableDebug: config.enableDebug,
    uiEnabled: config.uiEnabled,
    uiContentPath: `/${config.uiContentPath.replace(/^\/+|\/+$/g, '')}/`.replace('//', '/'),
  };
}

export function dnsConfig(config: Config): DnsConfig {
  const { dns } = config;
  return {
    ...DEFAULT_DNS_CONFIG,
    domain: config.domain,
    altDomain: config.altDomain,
    datacenter: config.datacenter,
    nodeName: config.nodeName,
    nodeTtlMs: dns.nodeTtlMs,
    serviceTtlMs: dns.serviceTtlMs,
    onlyPassing: dns.onlyPassing,
    enableTruncate: dns.enableTruncate,
    udpAnswerLimit: dns.udpAnswerLimit,
    aRecordLimit: dns.aRecordLimit,
    disableCompression: dns.disableCompression,
    soa: dns.soa,
    enableAdditionalNodeMetaTxt: dns.enableAdditionalNodeMetaTxt,
    recursors: config.recursors,
    recursorTimeoutMs: dns.recursorTimeoutMs,
    translateWanAddrs: config.translateWanAddrs,
    allowStale: dns.allowStale,
    maxStaleMs: dns.maxStaleMs,
  };
}
