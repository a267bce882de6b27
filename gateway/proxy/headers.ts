/** Which headers travel on: hop-by-hop ones stay here (RFC 9110 §7.6.1), the client's address is added. */

import { type HeaderList, headerOf, withoutHeaders } from '../exchange/exchange.ts';

const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** The transport frames bodies anew and names the agent as host; a 100-continue was already answered here. */
const REQUEST_ONLY = [
  'host',
  'content-length',
  'expect',
  'x-forwarded-for',
  'x-proconsul-node',
  // Which services float is the gateway's to say.
  'x-proconsul-floating',
];

const REQUEST_DROPPED: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...REQUEST_ONLY]);
const ANSWER_DROPPED: ReadonlySet<string> = new Set(HOP_BY_HOP);

export function requestHeaders(headers: HeaderList, clientAddress: string): string[] {
  const kept = withoutHeaders(headers, namedToo(headers, REQUEST_DROPPED));
  const chain = [headerOf(headers, 'x-forwarded-for'), clientAddress].filter(Boolean);
  if (chain.length > 0) kept.push('X-Forwarded-For', chain.join(', '));
  return kept;
}

export function answerHeaders(headers: HeaderList): string[] {
  return withoutHeaders(headers, namedToo(headers, ANSWER_DROPPED));
}

/** Headers that `Connection` names are hop-by-hop as well. */
function namedToo(headers: HeaderList, dropped: ReadonlySet<string>): ReadonlySet<string> {
  const connection = headerOf(headers, 'connection');
  if (connection === undefined || /^(keep-alive|close)$/i.test(connection)) return dropped;
  return new Set([...dropped, ...connection.split(',').map((name) => name.trim().toLowerCase())]);
}
