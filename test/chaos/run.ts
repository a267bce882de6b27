/** One run: servers started, a workload recorded while faults are injected, everything healed, read back and judged. */

import { SeededRandom } from '../../shared/simulated-env.ts';
import { Cluster } from './cluster.ts';
import { Connections } from './exchange.ts';
import { type FaultStep, injectFaults } from './faults.ts';
import { pause, runKvClient, sendKv, type Workload } from './kv-clients.ts';
import { runLockClient } from './lock-clients.ts';
import type { Network } from './network.ts';
import { Recorder } from './recorder.ts';
import type { RunHistory } from './run-history.ts';
import {
  AgentServiceClient,
  catalogRequest,
  isAsTold,
  parseCatalog,
  runCatalogClient,
} from './service-clients.ts';
import { targetOf } from './target.ts';
import { startWatchGroups, type WatchGroup } from './watchers.ts';

export interface RunOptions {
  readonly seed: number;
  readonly servers: number;
  readonly through: 'gateway' | 'servers';
  /** undefined: as long as the steps take. */
  readonly durationMs: number | undefined;
  readonly steps: Iterable<FaultStep>;
  readonly network: Network | undefined;
  /** Folder for what the servers and the gateway print. */
  readonly logs: string | undefined;
  readonly onProgress?: (recorder: Recorder) => void;
  /** Ends the run early; what was recorded is judged all the same. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly history: RunHistory;
  /** Processes that ended by themselves. */
  readonly crashes: readonly string[];
  readonly reasons: ReadonlyMap<string, number>;
}

const KV_CLIENTS = 4;
const CATALOG_CLIENTS = 2;
const LOCK_CLIENTS = 3;
const WATCHERS = 3;
const AGENT_SERVICES = 4;
const PROGRESS_MS = 5000;
/** A gateway looks for a working server for 10 s; a client of a server need not be that patient. */
const TIMEOUT_MS = { gateway: 12_000, servers: 4000 };
const SETTLE_MS = 30_000;

/** @throws Error when the servers don't start, or don't become whole again after the faults; nothing runs then */
export async function runChaos(options: RunOptions): Promise<RunResult> {
  const { servers, through, network, logs } = options;
  const cluster = await Cluster.start({ servers, network, logs, hasGateway: through === 'gateway' });
  using connections = new Connections();
  try {
    return await record(options, cluster, connections);
  } finally {
    await cluster.stop();
  }
}

async function record(options: RunOptions, cluster: Cluster, connections: Connections): Promise<RunResult> {
  const { seed, servers, through, durationMs, onProgress } = options;
  const random = new SeededRandom(seed);
  const recorder = new Recorder();
  const target = targetOf(connections, cluster.urls(), random);
  const stopping = new AbortController();
  const workload: Workload = {
    target,
    recorder,
    random,
    timeoutMs: TIMEOUT_MS[through],
    stop: stopping.signal,
  };
  const agentClients = Array.from({ length: AGENT_SERVICES }, (_, i) => new AgentServiceClient(workload, i));
  const watches = startWatchGroups(workload, WATCHERS);
  const progress = setInterval(() => onProgress?.(recorder), PROGRESS_MS);
  const clients = startClients(workload, agentClients);
  // A server that ended by itself is a finding; going on would only bury it.
  const isOver = () =>
    stopping.signal.aborted || options.signal?.aborted === true || cluster.crashes.length > 0;
  const faults = injectFaults(
    { cluster, network: options.network, recorder, random: new SeededRandom(seed + 1) },
    stoppable(options.steps, isOver),
    durationMs ?? Number.POSITIVE_INFINITY,
  );
  try {
    // A client that throws ends the run at once.
    await Promise.race([Promise.all([faults, untilOver(recorder, durationMs ?? 0, isOver)]), clients]);
    stopping.abort();
    await clients;
    return {
      history: {
        seed,
        servers,
        through,
        ...(await readBack(cluster, workload, watches, agentClients)),
        operations: recorder.operations,
        holds: recorder.holds,
        faults: recorder.faults,
        failed: recorder.failed,
      },
      crashes: cluster.crashes,
      reasons: recorder.reasons,
    };
  } finally {
    clearInterval(progress);
    stopping.abort();
    for (const group of watches) group.end();
    // What is under way would start servers again after they have been stopped.
    await Promise.allSettled([faults, clients]);
  }
}

async function startClients(workload: Workload, agentClients: readonly AgentServiceClient[]): Promise<void> {
  const start = (count: number, first: number, run: (workload: Workload, client: number) => Promise<void>) =>
    Array.from({ length: count }, (_, i) => run(workload, first + i));
  await Promise.all([
    ...start(KV_CLIENTS, 0, runKvClient),
    ...start(CATALOG_CLIENTS, 10, runCatalogClient),
    ...start(LOCK_CLIENTS, 20, runLockClient),
    ...agentClients.map((client) => client.run()),
  ]);
}

async function untilOver(recorder: Recorder, durationMs: number, isOver: () => boolean): Promise<void> {
  while (recorder.now() < durationMs && !isOver()) await pause(100);
}

function* stoppable(steps: Iterable<FaultStep>, isOver: () => boolean): Generator<FaultStep> {
  for (const step of steps) {
    if (isOver()) return;
    yield step;
  }
}

const LAST_CLIENT = 99;

/** All is whole again: every key is read once more, and watchers and agents must come to what is there. */
async function readBack(
  cluster: Cluster,
  workload: Workload,
  watches: readonly WatchGroup[],
  agentClients: readonly AgentServiceClient[],
): Promise<Pick<RunHistory, 'watches' | 'agentServices'>> {
  try {
    await cluster.untilReady();
  } catch (error) {
    // What was recorded is worth judging all the same.
    cluster.crashes.push(`not whole again: ${error instanceof Error ? error.message : error}`);
    return { watches: [], agentServices: [] };
  }
  const keys = new Set(workload.recorder.operations.map(({ key }) => key));
  for (const key of keys) await readOnce(workload, key);
  if (cluster.gateway !== undefined) await Promise.all(agentClients.map((client) => client.settle()));
  const told = await Promise.all(watches.map((group) => group.finish(SETTLE_MS)));
  return { watches: told, agentServices: await untilAsTold(agentClients) };
}

async function readOnce(workload: Workload, key: string): Promise<void> {
  const { recorder, target, random, timeoutMs } = workload;
  const input = { kind: 'get', isConsistent: true } as const;
  const until = recorder.now() + SETTLE_MS;
  while (recorder.now() < until) {
    const output = key.startsWith('service/')
      ? (
          await recorder.operation(
            { client: LAST_CLIENT, key, input },
            () => target.send({ ...catalogRequest(key.slice('service/'.length), input, random), timeoutMs }),
            (status, text) => parseCatalog(input, status, text),
          )
        ).output
      : await sendKv(workload, LAST_CLIENT, key, input);
    if (output !== undefined) return;
    await pause(100);
  }
  throw new Error(`${key} could not be read after all faults were healed`);
}

async function untilAsTold(clients: readonly AgentServiceClient[]): Promise<RunHistory['agentServices']> {
  const until = performance.now() + SETTLE_MS;
  for (;;) {
    const services = await Promise.all(clients.map((client) => client.result()));
    if (services.every(isAsTold) || performance.now() > until) return services;
    await pause(300);
  }
}
