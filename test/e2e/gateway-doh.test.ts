/** DNS over HTTPS with the clients that people use: dig over h2c and TLS, curl resolving names through the gateway. */

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { dig, hasTool } from './tools.ts';

const run = promisify(execFile);
const NAME = 'web.service.consul';

let dir: string;
let agent: DevAgent;
let web: http.Server;
let webPort: number;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'proconsul-doh-'));
  web = http.createServer((_, response) => response.end('hello from web\n'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  webPort = (web.address() as AddressInfo).port;
  agent = await startDevAgent();
  const body = JSON.stringify({ Name: 'web', Address: '127.0.0.1', Port: webPort });
  const put = await fetch(`${agent.url}/v1/agent/service/register`, { method: 'PUT', body });
  expect(put.status).toBe(200);
});

afterAll(async () => {
  await agent?.process.stop('SIGKILL');
  web?.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('in clear text', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway(agent.url);
  });
  afterAll(() => gateway?.process.stop());

  test.runIf(hasTool('dig'))('dig +http-plain posts and gets', () => {
    const at = ['@127.0.0.1', '-p', String(gateway.port)];
    expect(dig(...at, '+http-plain=/dns-query', '+short', NAME, 'SRV')).toBe(
      `1 1 ${webPort} 7f000001.addr.dc1.consul.`,
    );
    expect(dig(...at, '+http-plain-get=/dns-query', '+short', NAME, 'A')).toBe('127.0.0.1');
    const whole = dig(...at, '+http-plain=/dns-query', 'nothing.service.consul', 'A');
    expect(whole).toContain('status: NXDOMAIN');
    expect(whole).toMatch(/^consul\.\s+0\s+IN\s+SOA\s/m);
  });

  test.runIf(hasTool('dig'))('a reply too long for UDP comes whole', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `instance-with-a-long-identifier-${i}`);
    for (const ID of names) {
      const body = JSON.stringify({ Name: 'many', ID, Address: `10.9.8.${names.indexOf(ID)}`, Port: 1 });
      await fetch(`${agent.url}/v1/agent/service/register`, { method: 'PUT', body });
    }
    const at = ['@127.0.0.1', '-p', String(gateway.port), '+http-plain=/dns-query', '+short'];
    expect(dig(...at, 'many.service.consul', 'SRV').split('\n')).toHaveLength(60);
  });

  test('HTTP/1.1 is served on the same port over one kept connection', async () => {
    const keepAlive = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports: unknown[] = [];
    for (const path of [`/resolve?name=${NAME}&type=A`, '/v1/catalog/services', '/health']) {
      const { status, localPort } = await get(http, `${gateway.url}${path}`, { agent: keepAlive });
      expect(status).toBe(200);
      ports.push(localPort);
    }
    expect(new Set(ports).size).toBe(1);
    keepAlive.destroy();
  });
});

describe.runIf(hasTool('openssl'))('over TLS', () => {
  let gateway: TestGateway;
  let cert: string;
  beforeAll(async () => {
    cert = join(dir, 'cert.pem');
    const key = join(dir, 'key.pem');
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', cert];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...subject],
      {
        stdio: 'ignore',
      },
    );
    gateway = await startTestGateway(agent.url, { GATEWAY_TLS_CERT: cert, GATEWAY_TLS_KEY: key });
    await eventually('the gateway to be ready', async () =>
      (await get(https, `${gateway.url}/ready`, { ca: readFileSync(cert) })).status === 200
        ? true
        : undefined,
    );
  });
  afterAll(() => gateway?.process.stop());

  test.runIf(hasTool('dig'))('dig +https posts and gets, and verifies the certificate', () => {
    const at = ['@127.0.0.1', '-p', String(gateway.port)];
    expect(dig(...at, '+https', '+short', NAME, 'A')).toBe('127.0.0.1');
    expect(dig(...at, '+https-get', '+short', NAME, 'SRV')).toBe(`1 1 ${webPort} 7f000001.addr.dc1.consul.`);
    expect(dig(...at, '+https', `+tls-ca=${cert}`, '+tls-hostname=localhost', '+short', NAME, 'A')).toBe(
      '127.0.0.1',
    );
  });

  test.runIf(hasTool('curl'))('curl finds a service by its name', async () => {
    const doh = ['--doh-url', `${gateway.url}/dns-query`, '--doh-insecure'];
    // The service answers in this process, which must not stand still meanwhile.
    const { stdout } = await run('curl', ['-sS', '--max-time', '10', ...doh, `http://${NAME}:${webPort}/`]);
    expect(stdout).toBe('hello from web\n');
  });

  test.runIf(hasTool('curl'))('the API is served over HTTP/2 and HTTP/1.1', () => {
    const ask = (version: string) =>
      execFileSync(
        'curl',
        ['-sS', version, '--cacert', cert, '-w', ' %{http_version}', `${gateway.url}/v1/kv/none?raw`],
        { encoding: 'utf8' },
      );
    expect(ask('--http2')).toBe(' 2');
    expect(ask('--http1.1')).toBe(' 1.1');
  });
});

interface Got {
  readonly status: number | undefined;
  readonly localPort: number | undefined;
}

function get(client: typeof http | typeof https, url: string, options: https.RequestOptions): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = client.get(url, options, (response) => {
      const { localPort } = response.socket;
      response.resume().on('end', () => resolve({ status: response.statusCode, localPort }));
    });
    request.on('error', reject);
  });
}
