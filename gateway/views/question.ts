/** Which reads a kept-fresh view can answer, and under which key. Pure. */

import type { HeaderList } from '../exchange/exchange.ts';
import { headerOf } from '../exchange/exchange.ts';
import type { Incoming } from '../proxy/forward.ts';
import { queryValue, splitTarget } from '../proxy/target.ts';
import { sha256Hex } from './sha256.ts';

export interface Question {
  /** Equal for reads that get the same answer. Credentials stand in it as a hash. */
  readonly key: string;
  /** What is asked of agents, with the caller's credentials, without `max_stale`. */
  readonly target: string;
  readonly headers: HeaderList;
  /** Answered from the agents' cache, as `?cached` asks; otherwise any server's state does. */
  readonly isCached: boolean;
}

/** What blocks at an agent and depends on nothing but the catalog, health or keys (reference §2.3). */
const BLOCKABLE =
  /^\/v1\/(?:catalog\/(?:nodes|services|service\/.+|connect\/.+|node\/.+|node-services\/.+)|health\/(?:node|checks|state|service|connect|ingress)\/.+|kv\/.*)$/;

/** What agents keep in their own cache; elsewhere they ignore `?cached` (reference §2.5). */
const CACHEABLE =
  /^\/v1\/(?:catalog\/(?:services|service\/.+|connect\/.+)|health\/(?:service|connect|ingress)\/.+)$/;

/** Keys are kept for what is only counted, too; a longer question is asked of agents. Characters. */
const MAX_KEY = 4096;

/** They stay the same for every request of a caller and change what is answered. */
const CREDENTIALS = ['x-consul-token', 'authorization'] as const;

const SENT: ReadonlySet<string> = new Set([
  ...CREDENTIALS,
  'accept',
  'accept-encoding',
  'x-consul-namespace',
]);

/** @returns undefined when the read has to go to an agent each time */
export function viewQuestion({ kind, target, headers }: Incoming): Question | undefined {
  if (!kind.isShareable || kind.blocking !== undefined) return undefined;
  const { path, query } = splitTarget(target);
  if (path === undefined || !BLOCKABLE.test(path)) return undefined;
  const isCached = queryValue(query, 'cached') !== undefined && CACHEABLE.test(path);
  if (!isCached && kind.maxStaleMs === undefined) return undefined;
  if (!isPlain(query)) return undefined;
  if (!isGzipOrPlain(headers)) return undefined;
  const question = questionOf(target, query, headers, isCached);
  return question.key.length > MAX_KEY ? undefined : question;
}

/** Asks for what an agent might refuse, or for what depends on the agent that answers, go to agents. */
function isPlain(query: string): boolean {
  return !query.includes('%')
    ? !/(?:^|&)(?:near|index|wait|consistent|leader)(?:=|&|$)/.test(query)
    : isPlainDecoded(query);
}

function isPlainDecoded(query: string): boolean {
  return ['near', 'index', 'wait', 'consistent', 'leader'].every(
    (name) => queryValue(query, name) === undefined,
  );
}

/** Other encodings than gzip are never sent by agents, and a weighted gzip may mean its refusal. */
function isGzipOrPlain(headers: HeaderList): boolean {
  const accepted = headerOf(headers, 'accept-encoding');
  return accepted === undefined || !/gzip\s*;/i.test(accepted);
}

function questionOf(target: string, query: string, headers: HeaderList, isCached: boolean): Question {
  const path = target.slice(0, target.length - query.length).replace(/\?$/, '');
  const pairs = query.split('&').filter((pair) => pair !== '' && !isNamed(pair, 'max_stale'));
  if (!isCached && queryValue(query, 'stale') === undefined) pairs.push('stale');
  const asked = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  const open = pairs.filter((pair) => !isNamed(pair, 'token'));
  const sent = sentHeaders(headers);
  const identity = credentialHash(
    pairs.filter((pair) => isNamed(pair, 'token')),
    sent,
  );
  const formats = ['accept', 'accept-encoding', 'x-consul-namespace'].map(
    (name) => headerOf(sent, name) ?? '',
  );
  return { key: [path, ...open, ...formats, identity].join('\n'), target: asked, headers: sent, isCached };
}

/** Who asks, so that only equals share; '' for nobody. Credentials can't be read from it. */
export function credentialHash(tokenPairs: readonly string[], headers: HeaderList): string {
  const secrets = [...tokenPairs, ...CREDENTIALS.map((name) => headerOf(headers, name) ?? '')].join('\n');
  return /[^\n]/.test(secrets) ? sha256Hex(secrets) : '';
}

function isNamed(pair: string, name: string): boolean {
  return pair.startsWith(name) && (pair.length === name.length || pair[name.length] === '=');
}

/** Only what changes the answer; `Accept-Encoding` in one spelling, so that all who take gzip share a view. */
function sentHeaders(headers: HeaderList): string[] {
  const sent: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name === 'accept-encoding') {
      if ((headers[i + 1] as string).toLowerCase().includes('gzip')) sent.push('Accept-Encoding', 'gzip');
    } else if (SENT.has(name)) sent.push(headers[i] as string, headers[i + 1] as string);
  }
  return sent;
}

/**
 * What `Cache-Control` lets a view answer: undefined when only an agent may, otherwise the largest age in milliseconds.
 * Agents refuse malformed numbers, so these are left to them.
 */
export function allowedAgeMs(headers: HeaderList): number | undefined {
  const header = headerOf(headers, 'cache-control');
  if (header === undefined) return Number.POSITIVE_INFINITY;
  let allowed = Number.POSITIVE_INFINITY;
  for (const part of header.toLowerCase().split(',')) {
    const directive = part.trim();
    if (/^(?:must-revalidate|no-cache|no-store)/.test(directive)) return undefined;
    if (!/^(?:max-age|stale-if-error)/.test(directive)) continue;
    const seconds = /^(?:max-age|stale-if-error)=(\d{1,9})$/.exec(directive)?.[1];
    if (seconds === undefined) return undefined;
    if (directive.startsWith('max-age')) allowed = Math.min(allowed, Number(seconds) * 1000);
  }
  return allowed;
}

/** The same read answered by the leader. */
export function leaderTarget(target: string): string {
  const at = target.indexOf('?');
  if (at === -1) return target;
  const kept = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => !['stale', 'max_stale', 'cached', 'index', 'wait'].some((name) => isNamed(pair, name)));
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join('&')}`;
}
