/** Where to join: `[name/]host[:port]`, and the error text when nobody answered. */

import { isIP } from 'node:net';

export interface JoinAddress {
  /** The node expected there, empty when none is named. */
  readonly name: string;
  /** IP or DNS name, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** @throws Error when the port is not a number from 1 to 65535 or nothing is left as host */
export function parseJoinAddress(text: string, defaultPort: number): JoinAddress {
  const slash = text.indexOf('/');
  const name = slash < 0 ? '' : text.slice(0, slash);
  const place = text.slice(slash + 1);
  const { host, portText } = splitPort(place);
  const port = portText === undefined ? defaultPort : Number(portText);
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535;
  if (host === '' || !isPort) throw new Error(`invalid address ${JSON.stringify(text)}`);
  return { name, host, port };
}

/** `1 error occurred:\n\t* …\n\n`, as Consul lists errors. */
export function listedErrors(texts: readonly string[]): string {
  const title = texts.length === 1 ? '1 error occurred:' : `${texts.length} errors occurred:`;
  return `${title}\n${texts.map((text) => `\t* ${text}\n`).join('')}\n`;
}

function splitPort(place: string): { host: string; portText: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(place);
  if (bracketed !== null) return { host: bracketed[1] ?? '', portText: bracketed[2] };
  // A bare IPv6 address has colons of its own.
  if (isIP(place) === 6) return { host: place, portText: undefined };
  const colon = place.lastIndexOf(':');
  if (colon < 0) return { host: place, portText: undefined };
  return { host: place.slice(0, colon), portText: place.slice(colon + 1) };
}
