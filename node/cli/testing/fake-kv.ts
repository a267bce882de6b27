/** The key-value and session endpoints in memory, with blocking reads: enough to hold locks with. */

import type { Answer, Route, SeenRequest } from './fake-agent.ts';

interface StoredKey {
  value: string;
  flags: string;
  session: string | undefined;
  createIndex: number;
  modifyIndex: number;
}

export interface FakeKv {
  readonly routes: Readonly<Record<string, Route>>;
  readonly keys: Map<string, StoredKey>;
  readonly sessions: Map<string, { name: string; ttl: string; behavior: string }>;
  /** Ends a session as its expiry would: what it holds is released. */
  endSession(id: string): void;
  put(key: string, value: string, flags: string, session?: string): void;
}

export function createFakeKv(): FakeKv {
  const keys = new Map<string, StoredKey>();
  const sessions = new Map<string, { name: string; ttl: string; behavior: string }>();
  let index = 10;
  let waiting: (() => void)[] = [];

  const changed = () => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const put = (key: string, value: string, flags: string, session?: string) => {
    index++;
    const createIndex = keys.get(key)?.createIndex ?? index;
    keys.set(key, { value, flags, session, createIndex, modifyIndex: index });
    changed();
  };
  const endSession = (id: string) => {
    sessions.delete(id);
    index++;
    for (const stored of keys.values()) {
      if (stored.session !== id) continue;
      stored.session = undefined;
      stored.modifyIndex = index;
    }
    changed();
  };

  async function read(request: SeenRequest): Promise<Answer> {
    const asked = Number(request.query.get('index') ?? 0);
    if (asked >= index) await new Promise<void>((resolve) => waiting.push(resolve));
    const key = request.path.slice('/v1/kv/'.length);
    const found = [...keys].filter(([name]) =>
      request.query.has('recurse') ? name.startsWith(key) : name === key,
    );
    const headers = { 'X-Consul-Index': String(index) };
    if (found.length === 0) return { status: 404, headers };
    const text = found.map(
      ([name, stored]) =>
        `{"LockIndex":0,"Key":${JSON.stringify(name)},"Flags":${stored.flags},` +
        `"Value":${JSON.stringify(Buffer.from(stored.value).toString('base64'))},` +
        `${stored.session === undefined ? '' : `"Session":"${stored.session}",`}` +
        `"CreateIndex":${stored.createIndex},"ModifyIndex":${stored.modifyIndex}}`,
    );
    return { headers, body: `[${text.join(',')}]` };
  }

  function write(request: SeenRequest): Answer {
    const { query } = request;
    const key = request.path.slice('/v1/kv/'.length);
    const stored = keys.get(key);
    const acquire = query.get('acquire');
    const release = query.get('release');
    const cas = query.get('cas');
    const isFree = stored?.session === undefined;
    const holds =
      (acquire === null || (sessions.has(acquire) && (isFree || stored?.session === acquire))) &&
      (release === null || stored?.session === release) &&
      (cas === null || Number(cas) === (stored?.modifyIndex ?? 0));
    if (!holds) return { body: 'false' };
    const session = release === null ? (acquire ?? stored?.session) : undefined;
    put(key, request.body.toString(), query.get('flags') ?? '0', session);
    return { body: 'true' };
  }

  function remove(request: SeenRequest): Answer {
    const key = request.path.slice('/v1/kv/'.length);
    const cas = request.query.get('cas');
    if (cas !== null && Number(cas) !== (keys.get(key)?.modifyIndex ?? 0)) return { body: 'false' };
    index++;
    keys.delete(key);
    changed();
    return { body: 'true' };
  }

  return {
    keys,
    sessions,
    endSession,
    put,
    routes: {
      'GET /v1/kv/*': read,
      'PUT /v1/kv/*': write,
      'DELETE /v1/kv/*': remove,
      'PUT /v1/session/create': (request) => {
        const body = JSON.parse(request.body.toString()) as { Name: string; TTL: string; Behavior: string };
        const id = `session-${sessions.size + index}`;
        sessions.set(id, { name: body.Name, ttl: body.TTL, behavior: body.Behavior });
        return { body: { ID: id } };
      },
      'PUT /v1/session/renew/*': (request) =>
        sessions.has(request.path.split('/').at(-1) ?? '') ? { body: [] } : { status: 404 },
      'PUT /v1/session/destroy/*': (request) => {
        endSession(request.path.split('/').at(-1) ?? '');
        return { body: 'true' };
      },
    },
  };
}
