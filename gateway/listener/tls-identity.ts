/** Reads the certificate and key with which the gateway serves HTTPS. */

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type GatewaySettings, SettingsError } from '../settings/settings.ts';

/** PEM texts that fit each other. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/**
 * @returns undefined when no certificate is configured
 * @throws SettingsError naming the file that can't be read, or what is wrong with the two
 */
export function readTlsIdentity({ tlsCertPath, tlsKeyPath }: GatewaySettings): TlsIdentity | undefined {
  if (tlsCertPath === '') return undefined;
  const identity = {
    cert: readPem(tlsCertPath, '-tls-cert or GATEWAY_TLS_CERT', 'CERTIFICATE'),
    key: readPem(tlsKeyPath, '-tls-key or GATEWAY_TLS_KEY', 'PRIVATE KEY'),
  };
  try {
    createSecureContext(identity);
  } catch (error) {
    throw new SettingsError(
      `The certificate ${tlsCertPath} can't be used with the key ${tlsKeyPath}: ${messageOf(error)}. Give the key that belongs to the certificate, without a passphrase.`,
    );
  }
  return identity;
}

function readPem(path: string, source: string, label: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw new SettingsError(`${source} names a file that can't be read: ${messageOf(error)}.`);
  }
  if (!text.includes('-----BEGIN ') || !text.includes(label))
    throw new SettingsError(`${source} must name a PEM file with a ${label}; ${path} has none.`);
  return text;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
