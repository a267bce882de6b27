/** The few key-value calls that locks are made of. */

import type { KvEntry, Uint64 } from '../../../../shared/types/v1.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import type { ApiClient } from '../../api-client.ts';
import { encodePath } from '../../client-command.ts';

export interface ReadOptions {
  readonly isRecurse?: boolean;
  readonly isConsistent?: boolean;
  /** Wait until the index has passed this; '' does not wait. */
  readonly index?: string;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

export interface KvView {
  readonly entries: readonly KvEntry[];
  readonly index: string;
}

/** The answer's status. `isServerError` failures may pass by themselves. */
export class KvReadError extends Error {
  override readonly name = 'KvReadError';
  readonly isServerError: boolean;

  constructor(status: number) {
    super(`Unexpected response code: ${status}`);
    this.isServerError = status === 500;
  }
}

/** @throws KvReadError; Error when the agent can't be reached */
export async function readView(client: ApiClient, key: string, options: ReadOptions = {}): Promise<KvView> {
  const { index = '', waitMs } = options;
  const response = await client.request({
    method: 'GET',
    path: `/v1/kv/${encodePath(key)}`,
    query: {
      recurse: options.isRecurse ? '' : undefined,
      consistent: options.isConsistent ? '' : undefined,
      index: index === '' ? undefined : index,
      wait: waitMs === undefined ? undefined : `${Math.max(1, Math.round(waitMs))}ms`,
    },
    signal: options.signal,
  });
  if (response.status !== 200 && response.status !== 404) throw new KvReadError(response.status);
  const passed = String(response.headers['x-consul-index'] ?? '');
  return {
    entries: response.status === 404 ? [] : (parseUint64Json(response.body.toString()) as KvEntry[]),
    // Without an index above 0 the next read would not wait.
    index: /^[1-9]\d*$/.test(passed) ? passed : '1',
  };
}

export interface EntryWrite {
  readonly key: string;
  readonly value: string;
  readonly flags: Uint64;
}

export type WriteCondition =
  | { readonly acquire: string }
  | { readonly release: string }
  /** The ModifyIndex that must still be there; 0 for none. */
  | { readonly cas: number };

/** @returns whether the condition held */
export async function writeIf(
  client: ApiClient,
  entry: EntryWrite,
  condition: WriteCondition,
): Promise<boolean> {
  const query = Object.fromEntries(Object.entries(condition).map(([name, value]) => [name, String(value)]));
  const response = await client.expectOk({
    method: 'PUT',
    path: `/v1/kv/${encodePath(entry.key)}`,
    query: { ...query, flags: String(entry.flags) },
    body: entry.value,
  });
  return response.body.toString().includes('true');
}

/** @param cas as in `WriteCondition`; deletes without a condition when absent. @returns whether it held */
export async function deleteIf(client: ApiClient, key: string, cas?: number): Promise<boolean> {
  const query = cas === undefined ? {} : { cas: String(cas) };
  const response = await client.expectOk({ method: 'DELETE', path: `/v1/kv/${encodePath(key)}`, query });
  return response.body.toString().includes('true');
}
