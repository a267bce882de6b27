/** Clients that register, deregister and read services: in the catalog by its own operations, and with agents. */

import { type Random, randomInt } from '../../shared/env.ts';
import type { KvOutput } from '../history/kv-model.ts';
import { pause, type Workload } from './kv-clients.ts';
import type { AgentService, ChaosInput } from './run-history.ts';

const GENERATION_MS = 30_000;
const NAMES_AT_A_TIME = 2;
const PAUSE_MS = 60;
/** Watched, so this one stays for the whole run. */
export const WATCHED_SERVICE = 'watched';

/** A service of the catalog is a record like a key: registered, replaced, removed and read, its text in its Meta. */
export async function runCatalogClient(workload: Workload, client: number): Promise<void> {
  const { recorder, random, stop, target, timeoutMs } = workload;
  for (let turn = 0; !stop.aborted; turn++) {
    const name =
      random.next() < 0.2
        ? WATCHED_SERVICE
        : `s${Math.floor(recorder.now() / GENERATION_MS)}-${randomInt(random, NAMES_AT_A_TIME)}`;
    const input = pickInput(random, `c${client}-${turn}`);
    await recorder.operation(
      { client, key: `service/${name}`, input },
      () => target.send({ ...catalogRequest(name, input, random), timeoutMs }),
      (status, text) => parseCatalog(input, status, text),
    );
    await pause(random.next() * 2 * PAUSE_MS);
  }
}

export function catalogRequest(
  name: string,
  { kind, value, isConsistent }: ChaosInput,
  random: Random,
): { readonly method: 'GET' | 'PUT'; readonly path: string; readonly body?: string } {
  const node = `node-of-${name}`;
  if (kind === 'put') {
    const service = { ID: name, Service: name, Port: 80, Meta: { text: value } };
    const body = JSON.stringify({ Node: node, Address: '192.0.2.1', Service: service });
    return { method: 'PUT', path: '/v1/catalog/register', body };
  }
  if (kind === 'delete') {
    const body = JSON.stringify({ Node: node, ServiceID: name });
    return { method: 'PUT', path: '/v1/catalog/deregister', body };
  }
  const path = random.next() < 0.5 ? `/v1/catalog/service/${name}` : `/v1/health/service/${name}`;
  return { method: 'GET', path: isConsistent === true ? `${path}?consistent` : path };
}

interface CatalogEntry {
  readonly ServiceMeta: { readonly text?: string };
  readonly ModifyIndex: number;
}

interface HealthEntry {
  readonly Service: { readonly Meta: { readonly text?: string }; readonly ModifyIndex: number };
}

/** undefined: the request was refused and had no effect. @throws Error for an answer that no server may give */
export function parseCatalog({ kind }: ChaosInput, status: number, text: string): KvOutput | undefined {
  if (kind !== 'get') return status === 200 ? { kind: 'done', applied: true } : undefined;
  if (status !== 200) throw new Error(`a catalog read was answered ${status} ${text}`);
  return serviceRecord(text);
}

/** The one instance in an answer of catalog or health. */
export function serviceRecord(text: string): KvOutput & { readonly kind: 'value' } {
  const entries = JSON.parse(text) as (CatalogEntry | HealthEntry)[];
  const [entry] = entries;
  if (entry === undefined) return { kind: 'value', value: null, modifyIndex: 0 };
  if (entries.length > 1) throw new Error(`one service has ${entries.length} instances: ${text}`);
  if ('Service' in entry) {
    const { Meta, ModifyIndex } = entry.Service;
    return { kind: 'value', value: Meta.text ?? '', modifyIndex: ModifyIndex };
  }
  return { kind: 'value', value: entry.ServiceMeta.text ?? '', modifyIndex: entry.ModifyIndex };
}

function pickInput(random: Random, value: string): ChaosInput {
  const chance = random.next();
  if (chance < 0.3) return { kind: 'get', isConsistent: true };
  if (chance < 0.5) return { kind: 'get' };
  return chance < 0.85 ? { kind: 'put', value } : { kind: 'delete' };
}

/** How long a request without an answer may be on its way somewhere and still take effect after later ones. */
const LATE_MS = 30_000;

/** Registers one service with its agent again and again, with a port of its own each time, and removes it now and then. */
export class AgentServiceClient {
  readonly id: string;
  readonly #workload: Workload;
  readonly #server: number;
  /** What the last acknowledged request has left. */
  #told: number | null = null;
  /** What requests without an answer may still make of it. */
  #open: { readonly port: number | null; readonly at: number }[] = [];
  #port = 1000;

  constructor(workload: Workload, number: number) {
    this.id = `agent-service-${number}`;
    this.#workload = workload;
    this.#server = number;
  }

  async run(): Promise<void> {
    const { random, stop } = this.#workload;
    while (!stop.aborted) {
      await this.#tell(random.next() < 0.2 ? null : this.#port++);
      await pause(200 + random.next() * 600);
    }
  }

  /**
   * Removes the service and registers it once more, when all processes are up again. Through the gateway a service may
   * be left with two agents, because the one that had it was thought dead; a removal then finds every copy.
   */
  async settle(): Promise<void> {
    for (const port of [null, this.#port++]) while (!(await this.#tell(port))) await pause(200);
    this.#open = [];
  }

  async result(): Promise<AgentService> {
    const { target, timeoutMs } = this.#workload;
    const path = `/v1/catalog/service/${this.id}?consistent`;
    const outcome = await target.send({ method: 'GET', path, timeoutMs });
    const allowed = [...new Set([this.#told, ...this.#open.map(({ port }) => port)])];
    if (outcome.kind !== 'answered' || outcome.status !== 200) return { id: this.id, allowed, found: [-1] };
    const entries = JSON.parse(outcome.text) as { ServicePort: number }[];
    return { id: this.id, allowed, found: entries.map(({ ServicePort }) => ServicePort) };
  }

  /** @returns whether it was acknowledged */
  async #tell(port: number | null): Promise<boolean> {
    const { target, timeoutMs, recorder } = this.#workload;
    const [path, body] =
      port === null
        ? [`/v1/agent/service/deregister/${this.id}`, {}]
        : [
            '/v1/agent/service/register',
            { body: JSON.stringify({ ID: this.id, Name: this.id, Port: port }) },
          ];
    const outcome = await target.sendTo(this.#server, { method: 'PUT', path, ...body, timeoutMs });
    const at = recorder.now();
    if (outcome.kind === 'unknown') this.#open.push({ port, at });
    if (outcome.kind !== 'answered') recorder.note(outcome);
    // Removing what isn't there is answered 404, and leaves it so.
    const isDone =
      outcome.kind === 'answered' && (outcome.status === 200 || (port === null && outcome.status === 404));
    if (!isDone) return false;
    this.#told = port;
    this.#open = this.#open.filter((each) => at - each.at < LATE_MS);
    return true;
  }
}

/** Whether the catalog says what the agent was told. */
export function isAsTold({ allowed, found }: AgentService): boolean {
  const [port, ...more] = found;
  return more.length === 0 && allowed.includes(port ?? null);
}
