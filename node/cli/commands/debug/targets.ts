/** What `debug` can capture, and into which files. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderJson } from '../../../../shared/json.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import type { ApiClient, ApiRequest } from '../../api-client.ts';
import type { CliIo } from '../../command.ts';
import { pause } from '../../pause.ts';

export const TARGETS = ['metrics', 'logs', 'pprof', 'host', 'agent', 'cluster'] as const;
export type Target = (typeof TARGETS)[number];

/** Captured once. */
const STATIC: Readonly<Partial<Record<Target, { path: string; query: Record<string, string> }>>> = {
  host: { path: '/v1/agent/host', query: {} },
  agent: { path: '/v1/agent/self', query: {} },
  cluster: { path: '/v1/agent/members', query: { wan: '1' } },
};

/** @throws Error naming the target */
export async function captureStatic(
  client: ApiClient,
  targets: readonly Target[],
  folder: string,
): Promise<void> {
  for (const target of targets) {
    const source = STATIC[target];
    if (source === undefined) continue;
    const response = await client.expectOk({ method: 'GET', ...source });
    const text = renderJson(parseUint64Json(response.body.toString()), true);
    await writeFile(join(folder, `${target}.json`), text);
  }
}

/** Everything that changes, into a folder of its own. Takes up to `intervalMs` when logs or profiles are wanted. */
export async function captureInterval(
  client: ApiClient,
  targets: readonly Target[],
  folder: string,
  intervalMs: number,
  io: CliIo,
): Promise<void> {
  await mkdir(folder);
  const work: Promise<void>[] = [];
  if (targets.includes('metrics')) {
    work.push(download(client, { method: 'GET', path: '/v1/agent/metrics' }, join(folder, 'metrics.json')));
  }
  if (targets.includes('logs')) work.push(captureLogs(client, join(folder, 'consul.log'), intervalMs, io));
  if (targets.includes('pprof')) work.push(captureProfiles(client, folder, intervalMs));
  await Promise.all(work);
}

async function captureProfiles(client: ApiClient, folder: string, intervalMs: number): Promise<void> {
  const seconds = String(Math.max(1, Math.floor(intervalMs / 1000)));
  const sources: readonly [path: string, file: string, query: Record<string, string>][] = [
    ['heap', 'heap.prof', {}],
    ['goroutine', 'goroutine.prof', {}],
    ['profile', 'profile.prof', { seconds }],
    ['trace', 'trace.out', { seconds }],
  ];
  await Promise.all(
    sources.map(([path, file, query]) =>
      download(client, { method: 'GET', path: `/debug/pprof/${path}`, query }, join(folder, file)),
    ),
  );
}

async function captureLogs(client: ApiClient, file: string, intervalMs: number, io: CliIo): Promise<void> {
  const ended = new AbortController();
  const request: ApiRequest = {
    method: 'GET',
    path: '/v1/agent/monitor',
    query: { loglevel: 'DEBUG' },
    signal: ended.signal,
  };
  const log = await client.open(request);
  const timer = pause(io.clock, intervalMs, io.interrupted).then(() => ended.abort());
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of log) chunks.push(chunk as Buffer);
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  }
  await timer;
  await writeFile(file, Buffer.concat(chunks));
}

async function download(client: ApiClient, request: ApiRequest, file: string): Promise<void> {
  const response = await client.expectOk(request);
  await writeFile(file, response.body);
}
