/** What the fake agents share: a leader, keys with indexes, blocking reads, and a small catalog. */

import { parseDurationMs } from '../../shared/durations.ts';
import { realEnv } from '../../shared/env.ts';
import type { FakeReply } from './fake-pool.ts';

interface Entry {
  readonly value: string;
  readonly index: number;
}

export class FakeCluster {
  /** Name of the leading agent. Change it with `setLeader` to wake whoever waits for one. */
  leader: string | undefined;
  /** How long an agent waits for a leader before it gives up. */
  holdMs = 200;
  index = 10;
  readonly keys = new Map<string, Entry>();
  readonly catalogNodes = [
    { ID: '', Node: 'n1', Address: '10.0.0.1', Datacenter: 'dc1', TaggedAddresses: null, Meta: null },
  ];
  /** Keys in the order in which they were written, for counting double applications. */
  readonly applied: string[] = [];
  readonly #waiters = new Set<() => void>();

  setLeader(name: string | undefined): void {
    this.leader = name;
    this.wakeAll();
  }

  wakeAll(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  put(key: string, value: string): void {
    this.keys.set(key, { value, index: ++this.index });
    this.applied.push(key);
    this.wakeAll();
  }

  async answer(
    _node: string,
    method: string,
    path: string,
    query: URLSearchParams,
    body: string,
  ): Promise<FakeReply | undefined> {
    const isStale = query.has('stale');
    if (!isStale && !(await this.#hasLeader())) return { status: 500, text: 'No cluster leader' };
    if (path.startsWith('/v1/kv/')) return this.#keyValue(method, path.slice(7), query, body);
    if (path === '/v1/catalog/nodes') return this.#ok(this.catalogNodes, query);
    if (path.startsWith('/v1/health/service/')) return this.#ok([], query);
    return undefined;
  }

  async #keyValue(method: string, key: string, query: URLSearchParams, body: string): Promise<FakeReply> {
    if (method === 'PUT') {
      this.put(key, body);
      return { status: 200, text: 'true' };
    }
    const seen = Number(query.get('index') ?? 0);
    const waitMs = parseDurationMs(query.get('wait') ?? '5m');
    if (seen > 0) await this.#until(() => (this.keys.get(key)?.index ?? this.index) > seen, waitMs);
    const entry = this.keys.get(key);
    const headers = {
      'X-Consul-Index': String(entry?.index ?? this.index),
      'X-Consul-KnownLeader': String(this.leader !== undefined),
      'X-Consul-LastContact': '0',
    };
    if (entry === undefined) return { status: 404, text: '', headers };
    return { status: 200, text: JSON.stringify([{ Key: key, Value: btoa(entry.value) }]), headers };
  }

  #ok(value: unknown, query: URLSearchParams): FakeReply {
    const text = query.has('pretty') ? `${JSON.stringify(value, null, 4)}\n` : JSON.stringify(value);
    return { status: 200, text, headers: { 'X-Consul-Index': String(this.index) } };
  }

  async #hasLeader(): Promise<boolean> {
    await this.#until(() => this.leader !== undefined, this.holdMs);
    return this.leader !== undefined;
  }

  /** Resolves when it holds, at the latest after `limitMs`. */
  async #until(holds: () => boolean, limitMs: number): Promise<void> {
    const deadline = realEnv.clock.monotonicMs() + limitMs;
    while (!holds()) {
      const leftMs = deadline - realEnv.clock.monotonicMs();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = realEnv.clock.setTimer(leftMs, wake);
        const waiters = this.#waiters;
        function wake() {
          timer.cancel();
          waiters.delete(wake);
          resolve();
        }
        waiters.add(wake);
      });
    }
  }
}
