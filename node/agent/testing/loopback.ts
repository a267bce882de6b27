/** Ports and certificates for tests of probes. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Listening {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
}

/** Listens on a free port of 127.0.0.1. @returns the port */
export function listenOnLoopback(server: Listening): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address: unknown = server.address();
      resolve(typeof address === 'object' && address !== null ? Number(Reflect.get(address, 'port')) : 0);
    });
  });
}

export function closed(server: {
  close(done: () => void): unknown;
  closeAllConnections?(): void;
}): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections?.();
  });
}

/** A port where nobody listens. */
export async function closedPort(): Promise<number> {
  const server: Server = createServer();
  const port = await listenOnLoopback(server);
  await closed(server);
  return port;
}

/** A self-signed certificate for `localhost`; undefined where there is no openssl. */
export function selfSigned(): { readonly key: string; readonly cert: string } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  try {
    execFileSync('openssl', [...args, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } catch {
    // No openssl on this machine: tests that need a certificate are skipped.
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
