/** The JSON form of DNS over HTTPS: parameters → query, message → the object that public resolvers answer with. */

import { formatIp, parseIp } from './addresses.ts';
import { DohError } from './doh-error.ts';
import { type ClientSubnet, clientSubnet } from './edns.ts';
import {
  type DnsMessage,
  FLAG_AD,
  FLAG_CD,
  FLAG_RA,
  FLAG_RD,
  FLAG_TC,
  type ResourceRecord,
} from './message.ts';
import { type Name, nameFromPresentation, presentName } from './name.ts';
import { presentData } from './presentation.ts';
import { encodeQuery } from './query.ts';
import { parseRecordType, TYPE_A } from './record-types.ts';

/** HTTP has no size to announce; this is what resolvers commonly send. */
const UDP_SIZE = 1232;

/**
 * A query with id 0 and RD from `name`, `type`, `cd`, `do` and `edns_client_subnet`. Of repeated parameters the first
 * counts; others are ignored.
 *
 * @throws DohError 400 that names the parameter
 */
export function queryFromParameters(parameters: URLSearchParams): Uint8Array {
  const subnet = parseSubnet(parameters.get('edns_client_subnet'));
  const isDnssecOk = parseBoolean('do', parameters.get('do'));
  const hasEdns = subnet !== undefined || isDnssecOk;
  return encodeQuery({
    id: 0,
    name: parseName(parameters.get('name')),
    type: parseType(parameters.get('type')),
    isCheckingDisabled: parseBoolean('cd', parameters.get('cd')),
    ...(hasEdns && {
      edns: { udpSize: UDP_SIZE, isDnssecOk, ...(subnet !== undefined && { subnet }) },
    }),
  });
}

/** Key order and names as in the de-facto format; empty sections are left out, names end with a dot. */
export function messageToJson(message: DnsMessage): string {
  const has = (flag: number) => (message.flags & flag) !== 0;
  const { answers, authority, additional, edns } = message;
  const subnet = edns?.subnet;
  return JSON.stringify({
    Status: (message.flags & 0xf) | ((edns?.extendedRcode ?? 0) << 4),
    TC: has(FLAG_TC),
    RD: has(FLAG_RD),
    RA: has(FLAG_RA),
    AD: has(FLAG_AD),
    CD: has(FLAG_CD),
    Question: message.questions.map(({ name, type }) => ({ name: presentName(name.wire), type })),
    ...(answers.length > 0 && { Answer: answers.map(recordToJson) }),
    ...(authority.length > 0 && { Authority: authority.map(recordToJson) }),
    ...(additional.length > 0 && { Additional: additional.map(recordToJson) }),
    ...(subnet !== undefined &&
      subnet.address.length > 0 && { edns_client_subnet: `${formatIp(subnet.address)}/${subnet.scopeBits}` }),
  });
}

function recordToJson(record: ResourceRecord) {
  const name = record.owner === undefined ? '.' : presentName(record.owner.wire);
  return { name, type: record.type, TTL: record.ttl, data: presentData(record) };
}

function parseName(text: string | null): Name {
  if (text === null || text === '') throw new DohError(400, 'parameter "name" is missing');
  const name = nameFromPresentation(text);
  if (name === undefined) throw new DohError(400, 'parameter "name" is not a domain name');
  return name;
}

function parseType(text: string | null): number {
  if (text === null || text === '') return TYPE_A;
  const type = parseRecordType(text);
  if (type === undefined) throw new DohError(400, 'parameter "type" is not a record type');
  return type;
}

/** A bare parameter switches on. */
function parseBoolean(parameter: string, text: string | null): boolean {
  if (text === null || text === '0' || text === 'false') return false;
  if (text === '' || text === '1' || text === 'true') return true;
  throw new DohError(400, `parameter "${parameter}" is neither true nor false`);
}

/** Without a length the whole address counts. */
function parseSubnet(text: string | null): ClientSubnet | undefined {
  if (text === null || text === '') return undefined;
  const [address = '', length] = text.split('/', 2);
  const ip = parseIp(address);
  const most = ip === undefined ? 0 : ip.length * 8;
  const bits = length === undefined ? most : Number(/^\d{1,3}$/.test(length) ? length : Number.NaN);
  if (ip === undefined || !(bits <= most))
    throw new DohError(400, 'parameter "edns_client_subnet" is not ip or ip/length');
  return clientSubnet(ip, bits);
}
