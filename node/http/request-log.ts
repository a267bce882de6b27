/** What the log says of requests, tokens hidden. */

import { formatDurationMs } from '../../shared/durations.ts';
import type { Logger } from '../../shared/log.ts';
import type { Incoming } from './message.ts';
import { maskTokens } from './query-string.ts';
import { plainAddress } from './request.ts';

/** Endpoints that have a secret in the path. */
const SECRET_IN_PATH = /^(\/v1\/acl\/(?:create|update|destroy|info|clone|list)\/)[^?]+/;

export function maskedUrl(url: string): string {
  const question = url.indexOf('?');
  const path = (question === -1 ? url : url.slice(0, question)).replace(SECRET_IN_PATH, '$1<hidden>');
  return question === -1 ? path : `${path}?${maskTokens(url.slice(question + 1))}`;
}

export function logFinished(log: Logger, incoming: Incoming, latencyMs: number): void {
  log.debug('Request finished', {
    method: incoming.method,
    url: maskedUrl(incoming.url ?? ''),
    from: peerOf(incoming),
    latency: formatDurationMs(latencyMs),
  });
}

export function logFailed(log: Logger, incoming: Incoming, error: Error): void {
  log.error('Request error', {
    method: incoming.method,
    url: maskedUrl(incoming.url ?? ''),
    from: peerOf(incoming),
    error: error.message,
  });
}

function peerOf(incoming: Incoming): string {
  const { remoteAddress, remotePort } = incoming.socket;
  if (remoteAddress === undefined) return '@';
  const plain = plainAddress(remoteAddress);
  return plain.includes(':') ? `[${plain}]:${remotePort}` : `${plain}:${remotePort}`;
}
