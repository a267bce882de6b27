/** Reading and writing entries over HTTP, for all `kv` commands. */

import type { KvEntry, Uint64 } from '../../../../shared/types/v1.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import type { ApiClient } from '../../api-client.ts';
import { encodePath } from '../../client-command.ts';

/** @returns undefined when there is none. @throws Error `Unexpected response code: 403` (no body, as Consul's client) */
export async function readEntries(
  client: ApiClient,
  key: string,
  isRecurse: boolean,
): Promise<KvEntry[] | undefined> {
  const query = isRecurse ? { recurse: '' } : {};
  const response = await client.request({ method: 'GET', path: `/v1/kv/${encodePath(key)}`, query });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw new Error(`Unexpected response code: ${response.status}`);
  return parseUint64Json(response.body.toString()) as KvEntry[];
}

/** @throws as `readEntries` */
export async function readKeys(client: ApiClient, prefix: string, separator: string): Promise<string[]> {
  const query = { keys: '', separator: separator === '' ? undefined : separator };
  const response = await client.request({ method: 'GET', path: `/v1/kv/${encodePath(prefix)}`, query });
  if (response.status === 404) return [];
  if (response.status !== 200) throw new Error(`Unexpected response code: ${response.status}`);
  return JSON.parse(response.body.toString()) as string[];
}

export interface KvWrite {
  readonly key: string;
  readonly value: Uint8Array;
  readonly flags: Uint64;
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** @returns whether it took effect. @throws Error with the client's text */
export async function writeEntry(client: ApiClient, write: KvWrite): Promise<boolean> {
  if (write.key.startsWith('/')) throw new Error(`Invalid key. Key must not begin with a '/': ${write.key}`);
  const query = { ...write.query, flags: write.flags === 0 ? undefined : String(write.flags) };
  const path = `/v1/kv/${encodePath(write.key)}`;
  const response = await client.expectOk({ method: 'PUT', path, query, body: write.value });
  return response.body.toString().includes('true');
}

/** Commands other than `put` forgive a leading slash. */
export function withoutLeadingSlash(key: string): string {
  return key.startsWith('/') ? key.slice(1) : key;
}
