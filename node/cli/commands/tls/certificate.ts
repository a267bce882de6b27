/** Makes X.509 certificates (RFC 5280) with ECDSA P-256 keys. */

import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import {
  addressBytes,
  bitString,
  boolean,
  childElements,
  explicit,
  implicit,
  objectId,
  octetString,
  sequence,
  setOf,
  time,
  unsignedInteger,
  utf8String,
} from './der.ts';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const DAY_MS = 86_400_000;
const ORGANIZATION = 'Proconsul';
/** digitalSignature, keyCertSign, cRLSign: bits 0, 5 and 6. */
const CA_KEY_USAGE = bitString(Buffer.from([0b1000_0110]), 1);
/** digitalSignature, keyEncipherment: bits 0 and 2. */
const LEAF_KEY_USAGE = bitString(Buffer.from([0b1010_0000]), 5);

/** Both PEM. The key is in SEC 1 form. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

export interface AuthoritySpec {
  readonly days: number;
  /** DNS domains that its certificates may name; any when empty. */
  readonly permittedDomains: readonly string[];
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

export interface LeafSpec {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** For TLS servers and clients; otherwise for any use. */
  readonly isForTls: boolean;
  readonly days: number;
  readonly nowMs: number;
}

export function createAuthority(spec: AuthoritySpec): CertificateAndKey {
  const serial = randomBytes(16);
  const name = distinguishedName(`Consul Agent CA ${BigInt(`0x${serial.toString('hex')}`)}`);
  const pair = keyPair();
  const constraints = spec.permittedDomains.map((domain) => sequence(implicit(2, Buffer.from(domain))));
  return assemble({
    serial,
    issuer: name,
    subject: name,
    publicKey: pair.publicKey,
    signingKey: pair.key,
    ownKey: pair.key,
    nowMs: spec.nowMs,
    days: spec.days,
    extensions: [
      extension(OID.keyUsage, true, CA_KEY_USAGE),
      extension(OID.basicConstraints, true, sequence(boolean(true))),
      extension(OID.subjectKeyId, false, octetString(keyId(pair.publicKey))),
      extension(OID.authorityKeyId, false, sequence(implicit(0, keyId(pair.publicKey)))),
      ...(constraints.length === 0
        ? []
        : [extension(OID.nameConstraints, true, sequence(explicit(0, Buffer.concat(constraints))))]),
    ],
  });
}

/** @throws Error when the authority's files can't be used */
export function createLeaf(authority: CertificateAndKey, spec: LeafSpec): CertificateAndKey {
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = createPrivateKey(authority.key);
  if (!issuer.ca) throw new Error('the certificate is not one of an authority');
  if (!issuer.checkPrivateKey(signingKey)) throw new Error('the key does not belong to the certificate');
  if (signingKey.asymmetricKeyType !== 'ec') throw new Error('the key must be an elliptic curve key');
  const pair = keyPair();
  const issuerKey = issuer.publicKey.export({ type: 'spki', format: 'der' });
  const altNames = [
    ...spec.dnsNames.map((name) => implicit(2, Buffer.from(name))),
    ...spec.ipAddresses.map((ip) => implicit(7, addressBytes(ip))),
  ];
  const usages = sequence(objectId(OID.serverAuth), objectId(OID.clientAuth));
  return assemble({
    serial: randomBytes(16),
    issuer: subjectOf(issuer.raw),
    subject: distinguishedName(spec.commonName),
    publicKey: pair.publicKey,
    signingKey: authority.key,
    ownKey: pair.key,
    nowMs: spec.nowMs,
    days: spec.days,
    extensions: [
      extension(OID.keyUsage, true, LEAF_KEY_USAGE),
      ...(spec.isForTls ? [extension(OID.extendedKeyUsage, false, usages)] : []),
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.subjectKeyId, false, octetString(keyId(pair.publicKey))),
      extension(OID.authorityKeyId, false, sequence(implicit(0, keyId(issuerKey)))),
      extension(OID.subjectAltName, false, sequence(...altNames)),
    ],
  });
}

interface Parts {
  readonly serial: Buffer;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  /** PEM. */
  readonly signingKey: string;
  readonly ownKey: string;
  readonly nowMs: number;
  readonly days: number;
  readonly extensions: readonly Buffer[];
}

function assemble(parts: Parts): CertificateAndKey {
  const algorithm = sequence(objectId(OID.ecdsaWithSha256));
  const version3 = explicit(0, unsignedInteger(Buffer.from([2])));
  const toBeSigned = sequence(
    version3,
    unsignedInteger(parts.serial),
    algorithm,
    parts.issuer,
    sequence(time(parts.nowMs), time(parts.nowMs + parts.days * DAY_MS)),
    parts.subject,
    parts.publicKey,
    explicit(3, sequence(...parts.extensions)),
  );
  const signature = sign('sha256', toBeSigned, parts.signingKey);
  const der = sequence(toBeSigned, algorithm, bitString(signature));
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: parts.ownKey,
  };
}

function keyPair(): { publicKey: Buffer; key: string } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
    key: pair.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
  };
}

function keyId(publicKey: Buffer): Buffer {
  return createHash('sha256').update(publicKey).digest();
}

function distinguishedName(commonName: string): Buffer {
  const attribute = (oid: string, value: string) => setOf(sequence(objectId(oid), utf8String(value)));
  return sequence(attribute(OID.organization, ORGANIZATION), attribute(OID.commonName, commonName));
}

function extension(oid: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(objectId(oid), ...(isCritical ? [boolean(true)] : []), octetString(value));
}

/** To the letter: the issuer of a certificate must be the same bytes. */
function subjectOf(certificate: Uint8Array): Buffer {
  const [toBeSigned] = childElements(certificate);
  // version, serial, algorithm, issuer, validity, subject
  const subject = toBeSigned === undefined ? undefined : childElements(toBeSigned)[5];
  if (subject === undefined) throw new Error('malformed certificate');
  return subject;
}
