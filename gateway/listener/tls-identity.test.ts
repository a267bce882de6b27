import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSettings } from '../testing/harness.ts';
import { readTlsIdentity } from './tls-identity.ts';

let dir: string;
let file: (name: string) => string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'proconsul-tls-'));
  file = (name) => join(dir, name);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file('key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(file('cert.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  writeFileSync(file('empty.pem'), '');
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (tlsCertPath: string, tlsKeyPath: string) =>
  readTlsIdentity(testSettings(['http://127.0.0.1:1'], { tlsCertPath, tlsKeyPath }));

test('without a certificate it is clear text', () => {
  expect(read('', '')).toBeUndefined();
});

test('what is wrong with the files is said, with what to do', () => {
  expect(() => read(file('none.pem'), file('key.pem'))).toThrow(/GATEWAY_TLS_CERT names a file.*ENOENT/);
  expect(() => read(file('key.pem'), file('key.pem'))).toThrow(/must name a PEM file with a CERTIFICATE/);
  expect(() => read(file('cert.pem'), file('empty.pem'))).toThrow(/GATEWAY_TLS_KEY.*PRIVATE KEY/);
  expect(() => read(file('cert.pem'), file('key.pem'))).toThrow(/can't be used with the key .*key\.pem/);
});
