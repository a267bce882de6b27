/** What the load benchmarks do: ten instances of a service with checks, a thousand keys, and six ways to ask. */

import { runDnsLoad } from './dns-load.ts';
import { httpRequestBytes, type LoadResult, runHttpLoad } from './http-load.ts';

export interface Target {
  readonly name: string;
  readonly url: URL;
  readonly dnsPort?: number;
}

export interface LoadOptions {
  readonly connections: number;
  readonly durationMs: number;
}

export interface Workload {
  readonly name: string;
  /** undefined where the target has no such interface. */
  readonly run: (target: Target, options: LoadOptions) => Promise<LoadResult> | undefined;
}

const INSTANCES = 10;
const KEYS = 1000;
const VALUE = Buffer.alloc(128, 'x');

const dns =
  (type: number): Workload['run'] =>
  ({ dnsPort }, { connections, durationMs }) =>
    dnsPort === undefined
      ? undefined
      : runDnsLoad({
          host: '127.0.0.1',
          port: dnsPort,
          name: 'bench.service.consul',
          type,
          inFlight: connections,
          durationMs,
        });

export interface HttpWorkload {
  readonly name: string;
  /** What gives the n-th request as bytes on the wire. All of them are made beforehand. */
  readonly requests: (url: URL) => (n: number) => Buffer;
}

export const HTTP_WORKLOADS: readonly HttpWorkload[] = [
  { name: 'catalog', requests: always('GET', '/v1/catalog/service/bench') },
  { name: 'health', requests: always('GET', '/v1/health/service/bench?passing') },
  { name: 'kv-get', requests: onKeys('GET', randomKey) },
  { name: 'kv-put', requests: onKeys('PUT', (n) => n % KEYS, VALUE) },
];

export const WORKLOADS: readonly Workload[] = [
  ...HTTP_WORKLOADS.map(({ name, requests }) => ({
    name,
    run: ({ url }: Target, options: LoadOptions) => runHttpLoad({ url, ...options, request: requests(url) }),
  })),
  { name: 'dns-a', run: dns(1) },
  { name: 'dns-srv', run: dns(33) },
];

function always(method: string, path: string): HttpWorkload['requests'] {
  return (url) => {
    const bytes = httpRequestBytes(method, url, path);
    return () => bytes;
  };
}

function onKeys(method: string, keyOf: (n: number) => number, body?: Buffer): HttpWorkload['requests'] {
  return (url) => {
    const all = Array.from({ length: KEYS }, (_, key) =>
      httpRequestBytes(method, url, `/v1/kv/bench/${key}`, body),
    );
    // Keys are below as many as there are.
    return (n) => all[keyOf(n)] as Buffer;
  };
}

/** The same keys in every run, in an order without a pattern (a multiplicative hash; Knuth, TAOCP 3, §6.4). */
function randomKey(n: number): number {
  const mixed = Math.imul(n ^ (n >>> 7), 2654435761);
  return ((mixed ^ (mixed >>> 15)) >>> 0) % KEYS;
}

/** Writes what the workloads ask for. */
export async function fill(base: URL): Promise<void> {
  for (let i = 0; i < INSTANCES; i++) {
    await put(base, '/v1/catalog/register', {
      Node: `bench-${i}`,
      Address: `10.0.0.${i + 1}`,
      Service: { Service: 'bench', Tags: ['a', 'b'], Port: 8000 + i },
      Checks: [{ Name: 'alive', CheckID: 'alive', Status: 'passing', ServiceID: 'bench' }],
    });
  }
  for (let i = 0; i < KEYS; i++)
    await fetch(new URL(`/v1/kv/bench/${i}`, base), { method: 'PUT', body: VALUE });
}

/** What crowds of watchers watch: one service with one instance. */
export const WATCHED_PATH = '/v1/health/service/watched';

/** Registers it with another port. */
export function changeWatched(base: URL, port: number): Promise<void> {
  const service = { Service: 'watched', Port: port };
  return put(base, '/v1/catalog/register', { Node: 'watched', Address: '10.0.0.1', Service: service });
}

export async function put(base: URL, path: string, body: unknown): Promise<void> {
  const response = await fetch(new URL(path, base), { method: 'PUT', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

/** One workload on each target in turn; ratios are against the first peer when there is one, else the first target. */
export async function compare(
  workload: Workload,
  targets: readonly Target[],
  options: LoadOptions,
): Promise<void> {
  const results: { target: Target; result: LoadResult }[] = [];
  for (const target of targets) {
    const result = await workload.run(target, options);
    if (result !== undefined) results.push({ target, result });
  }
  const base = results.find(({ target }) => target.name.startsWith('peer:')) ?? results[0];
  for (const { target, result } of results) {
    const ratio = base === undefined ? 1 : result.perSecond / base.result.perSecond;
    const cells = [
      workload.name,
      target.name,
      result.perSecond.toFixed(0),
      result.p50.toFixed(2),
      result.p99.toFixed(2),
      String(result.errors),
      `${ratio.toFixed(2)} × ${base?.target.name}`,
    ];
    console.log(tableRow(cells));
  }
}

export const TABLE_HEAD = ['workload', 'through', 'req/s', 'p50 ms', 'p99 ms', 'errors', 'ratio'];

export function tableRow(cells: readonly string[]): string {
  const widths = [10, 14, 9, 8, 8, 7, 16];
  return cells
    .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
    .join(' ');
}

/** `NAME=URL` as the command line gives it. A peer's DNS port may follow: `NAME=URL,DNSPORT`. */
export function parsePeer(text: string): Target {
  const [name = 'peer', rest = ''] = text.split(/=(.*)/s);
  const [url = '', dnsPort] = rest.split(',');
  return {
    name: `peer:${name}`,
    url: new URL(url),
    ...(dnsPort === undefined ? {} : { dnsPort: Number(dnsPort) }),
  };
}
