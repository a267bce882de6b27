/** Numbers and mnemonics of DNS record types, classes and response codes (IANA). */

export const TYPE_A = 1;
export const TYPE_NS = 2;
export const TYPE_CNAME = 5;
export const TYPE_SOA = 6;
export const TYPE_PTR = 12;
export const TYPE_MX = 15;
export const TYPE_TXT = 16;
export const TYPE_AAAA = 28;
export const TYPE_SRV = 33;
export const TYPE_OPT = 41;
export const TYPE_AXFR = 252;
export const TYPE_ANY = 255;

export const CLASS_IN = 1;

export const RCODE_NOERROR = 0;
export const RCODE_FORMERR = 1;
export const RCODE_SERVFAIL = 2;
export const RCODE_NXDOMAIN = 3;
export const RCODE_NOTIMP = 4;
export const RCODE_REFUSED = 5;

const TYPE_NUMBERS: Readonly<Record<string, number>> = {
  A: TYPE_A,
  NS: TYPE_NS,
  CNAME: TYPE_CNAME,
  SOA: TYPE_SOA,
  PTR: TYPE_PTR,
  HINFO: 13,
  MX: TYPE_MX,
  TXT: TYPE_TXT,
  RP: 17,
  AFSDB: 18,
  SIG: 24,
  KEY: 25,
  AAAA: TYPE_AAAA,
  LOC: 29,
  SRV: TYPE_SRV,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: TYPE_OPT,
  APL: 42,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  HIP: 55,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  EUI48: 108,
  EUI64: 109,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: TYPE_AXFR,
  MAILB: 253,
  MAILA: 254,
  ANY: TYPE_ANY,
  URI: 256,
  CAA: 257,
};

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name]),
);

const CLASS_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'IN'],
  [2, 'CS'],
  [3, 'CH'],
  [4, 'HS'],
  [254, 'NONE'],
  [255, 'ANY'],
]);

/** A mnemonic in any case, `TYPE<n>` (RFC 3597) or a decimal number, 1–65535; undefined otherwise. */
export function parseRecordType(text: string): number | undefined {
  const upper = text.toUpperCase();
  if (Object.hasOwn(TYPE_NUMBERS, upper)) return TYPE_NUMBERS[upper];
  const digits = /^(?:TYPE)?(\d{1,5})$/.exec(upper)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  return number >= 1 && number <= 65535 ? number : undefined;
}

/** `A`, `SRV`, … or `TYPE<n>`. */
export function recordTypeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

/** `IN`, `CH`, … or `CLASS<n>`. */
export function recordClassName(recordClass: number): string {
  return CLASS_NAMES.get(recordClass) ?? `CLASS${recordClass}`;
}
