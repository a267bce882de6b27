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
const DROPPED_LENGTHS: ReadonlySet<number> = new Set(HOP_BY_HOP.map(({ length }) => length));

/** What was made of a list last time: the listener hands out the same list for the same header block. */
const sent = new WeakMap<HeaderList, { readonly clientAddress: string; readonly list: HeaderList }>();

/** The same list for the same list and address as last time; nobody may change it. */
export function requestHeaders(headers: HeaderList, clientAddress: string): HeaderList {
  const known = sent.get(headers);
  if (known?.clientAddress === clientAddress) return known.list;
  const list = endToEnd(headers, clientAddress);
  sent.set(headers, { clientAddress, list });
  return list;
}

function endToEnd(headers: HeaderList, clientAddress: string): string[] {
  const kept = withoutHeaders(headers, namedToo(headers, REQUEST_DROPPED));
  const chain = [headerOf(headers, 'x-forwarded-for'), clientAddress].filter(Boolean);
  if (chain.length > 0) kept.push('X-Forwarded-For', chain.join(', '));
  return kept;
}

/** The list itself when all of it travels on, as it nearly always does. */
export function answerHeaders(headers: HeaderList): HeaderList {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (DROPPED_LENGTHS.has(name.length) && ANSWER_DROPPED.has(name.toLowerCase()))
      return withoutHeaders(headers, namedToo(headers, ANSWER_DROPPED));
  }
  return headers;
}

/** Headers that `Connection` names are hop-by-hop as well. */
function namedToo(headers: HeaderList, dropped: ReadonlySet<string>): ReadonlySet<string> {
  const connection = headerOf(headers, 'connection');
  if (connection === undefined || /^(keep-alive|close)$/i.test(connection)) return dropped;
  return new Set([...dropped, ...connection.split(',').map((name) => name.trim().toLowerCase())]);
}
