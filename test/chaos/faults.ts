/** What is done to the servers, and when: drawn from a seed, or written down for a test. */

import { type Random, randomInt, shuffle } from '../../shared/env.ts';
import type { Cluster } from './cluster.ts';
import { pause } from './kv-clients.ts';
import type { Network } from './network.ts';
import type { Recorder } from './recorder.ts';

export const FAULT_KINDS = ['kill', 'pause', 'cut'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** How the network is cut. `deaf`: nothing reaches them; `mute`: nothing leaves them; `apart`: the first two, from each other. */
export type Cut = 'isolate' | 'deaf' | 'mute' | 'split' | 'apart' | 'unplug';
const CUTS: readonly Cut[] = ['isolate', 'isolate', 'deaf', 'mute', 'split', 'apart', 'unplug'];

export type Victims = 'leader' | 'follower' | 'majority' | 'all';

export type Fault =
  | { readonly kind: 'kill' | 'pause'; readonly victims: Victims }
  | { readonly kind: 'cut'; readonly cut: Cut; readonly victims: Victims };

export interface FaultStep {
  /** At the same time. */
  readonly faults: readonly Fault[];
  readonly holdMs: number;
  /** Without faults, afterwards. */
  readonly restMs: number;
  /** The rest goes on until so many writes more have been acknowledged, for at most a minute. Default: 0. */
  readonly restWrites?: number;
}

/** Steps without end. */
export function* randomFaults(random: Random, kinds: readonly FaultKind[]): Generator<FaultStep> {
  for (;;) {
    const count = random.next() < 0.2 ? 2 : 1;
    const faults = Array.from({ length: count }, () => randomFault(random, kinds));
    yield { faults, holdMs: 500 + random.next() ** 2 * 8000, restMs: 500 + random.next() ** 2 * 6000 };
  }
}

function randomFault(random: Random, kinds: readonly FaultKind[]): Fault {
  const kind = kinds[randomInt(random, kinds.length)] ?? 'kill';
  const chance = random.next();
  if (kind === 'cut') {
    const cut = CUTS[randomInt(random, CUTS.length)] ?? 'isolate';
    return { kind, cut, victims: chance < 0.6 ? 'leader' : 'follower' };
  }
  const victims = chance < 0.5 ? 'leader' : chance < 0.75 ? 'follower' : chance < 0.9 ? 'majority' : 'all';
  return { kind, victims };
}

export interface Injector {
  readonly cluster: Cluster;
  /** undefined: nothing can be cut. */
  readonly network: Network | undefined;
  readonly recorder: Recorder;
  readonly random: Random;
}

/** Goes through the steps until they or the time are over. All is whole again then, and all processes have been started. */
export async function injectFaults(
  injector: Injector,
  steps: Iterable<FaultStep>,
  untilMs: number,
): Promise<void> {
  const { recorder } = injector;
  for (const { faults, holdMs, restMs, restWrites = 0 } of steps) {
    if (recorder.now() >= untilMs) return;
    const undone: (() => void)[] = [];
    for (const fault of faults) undone.push(await apply(injector, fault));
    await pause(Math.max(0, Math.min(holdMs, untilMs - recorder.now())));
    for (const undo of undone) undo();
    if (faults.length > 0) recorder.fault('healed');
    await pause(Math.max(0, Math.min(restMs, untilMs - recorder.now())));
    await untilWritten(recorder, recorder.acknowledged + restWrites);
  }
}

const REST_LIMIT_MS = 60_000;

async function untilWritten(recorder: Recorder, acknowledged: number): Promise<void> {
  const limit = recorder.now() + REST_LIMIT_MS;
  while (recorder.acknowledged < acknowledged && recorder.now() < limit) await pause(50);
}

/** @returns what ends it */
async function apply(injector: Injector, fault: Fault): Promise<() => void> {
  const { cluster, recorder } = injector;
  const order = await inOrder(injector);
  const victims = choose(order, fault.victims);
  const whom = `${fault.victims}: ${victims.map((server) => `server${server + 1}`).join(', ')}`;
  switch (fault.kind) {
    case 'kill': {
      recorder.fault(`kill -9 ${whom}`);
      const isKilled = await Promise.all(victims.map((server) => cluster.kill(server)));
      return () => {
        // The fault that killed it starts it again, once.
        for (const [at, server] of victims.entries()) if (isKilled[at]) cluster.restart(server);
      };
    }
    case 'pause':
      recorder.fault(`SIGSTOP ${whom}`);
      for (const server of victims) cluster.pause(server);
      return () => {
        for (const server of victims) cluster.resume(server);
      };
    case 'cut':
      recorder.fault(`cut ${fault.cut} ${whom}`);
      return applyCut(injector, fault.cut, order, victims);
    default:
      throw new Error(`no such fault: ${fault satisfies never}`);
  }
}

/** All servers, the leader first if there is one, the others at random. */
async function inOrder({ cluster, random }: Injector): Promise<number[]> {
  const leader = await cluster.leader();
  const servers = shuffle(
    random,
    cluster.servers.map((_, server) => server),
  );
  return leader === undefined ? servers : [leader, ...servers.filter((server) => server !== leader)];
}

function choose(order: readonly number[], victims: Victims): readonly number[] {
  switch (victims) {
    case 'leader':
      return order.slice(0, 1);
    case 'follower':
      return order.slice(1, 2);
    case 'majority':
      return order.slice(0, Math.floor(order.length / 2) + 1);
    case 'all':
      return order;
    default:
      throw new Error(`no such victims: ${victims satisfies never}`);
  }
}

function applyCut(
  { network }: Injector,
  cut: Cut,
  order: readonly number[],
  victims: readonly number[],
): () => void {
  if (network === undefined) throw new Error('without namespaces nothing can be cut');
  if (cut === 'unplug') {
    for (const server of victims) network.plug(server, false);
    return () => {
      for (const server of victims) network.plug(server, true);
    };
  }
  const links = linksOf(cut, order, victims);
  for (const [from, to] of links) network.cut(from, to);
  return () => {
    for (const [from, to] of links) network.mend(from, to);
  };
}

/** Which server's packets to which other one are lost. */
function linksOf(
  cut: Exclude<Cut, 'unplug'>,
  order: readonly number[],
  victims: readonly number[],
): [number, number][] {
  const [first = 0] = victims;
  const others = order.filter((server) => server !== first);
  const between = (a: readonly number[], b: readonly number[]) =>
    a.flatMap((from) => b.map((to): [number, number] => [from, to]));
  const both = (a: readonly number[], b: readonly number[]) => [...between(a, b), ...between(b, a)];
  switch (cut) {
    case 'isolate':
      return both([first], others);
    case 'deaf':
      return between(others, [first]);
    case 'mute':
      return between([first], others);
    case 'split': {
      // The first one keeps as many as a minority can have.
      const minority = [first, ...others.slice(0, Math.floor((order.length - 1) / 2) - 1)];
      return both(
        minority,
        order.filter((server) => !minority.includes(server)),
      );
    }
    case 'apart':
      return both([first], others.slice(0, 1));
    default:
      throw new Error(`no such cut: ${cut satisfies never}`);
  }
}
