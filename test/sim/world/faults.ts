/** What goes wrong in a history: a list made from the seed before it begins, so that it can be cut down afterwards. */

import { type Random, randomInt } from '../../../shared/env.ts';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { CALM, type Weather } from './links.ts';

/** A machine by what it is at that moment, or by its place in the list of all servers. */
export type Target = 'leader' | 'follower' | number;

/** Every fault ends by itself: `forMs` later, or when its process begins a new life. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: 'crash'; readonly target: Target; readonly downMs: number; readonly losesPower: boolean }
  | { readonly kind: 'crash-all'; readonly downMs: number; readonly losesPower: boolean }
  | { readonly kind: 'crash-agent'; readonly agent: number; readonly downMs: number }
  | { readonly kind: 'crash-gateway'; readonly gateway: number; readonly downMs: number }
  | { readonly kind: 'pause'; readonly target: Target; readonly forMs: number }
  /** Between the target and all other servers; `out`: only what it sends is lost; `in`: only what it is sent. */
  | {
      readonly kind: 'isolate';
      readonly target: Target;
      readonly direction: 'both' | 'out' | 'in';
      readonly forMs: number;
    }
  /** Between two machines only; the rest see both. */
  | {
      readonly kind: 'cut';
      readonly from: number;
      readonly to: number;
      readonly isOneWay: boolean;
      readonly forMs: number;
    }
  /** Every machine, clients' side included, on one side of the cut or the other. */
  | { readonly kind: 'partition'; readonly side: readonly number[]; readonly forMs: number }
  | {
      readonly kind: 'clog';
      readonly from: number;
      readonly to: number;
      readonly extraMs: number;
      readonly forMs: number;
    }
  | { readonly kind: 'weather'; readonly weather: Weather; readonly forMs: number }
  | { readonly kind: 'skew'; readonly machine: number; readonly error: number }
  | { readonly kind: 'jump'; readonly machine: number; readonly byMs: number }
  | {
      readonly kind: 'slow-disk';
      readonly target: Target;
      readonly maxDelayMs: number;
      readonly forMs: number;
    }
  | { readonly kind: 'full-disk'; readonly target: Target; readonly leftBytes: number }
  | { readonly kind: 'failing-sync'; readonly target: Target; readonly afterSyncs: number }
  /** The server is down; a bit of one of its files changes; it starts again, or is replaced if it refuses to. */
  | { readonly kind: 'bit-flip'; readonly target: Target; readonly at: number; readonly downMs: number }
  | { readonly kind: 'transfer' }
  | { readonly kind: 'snapshot'; readonly target: Target }
  | { readonly kind: 'remove-server'; readonly target: Target }
  | { readonly kind: 'add-server' }
);

/** The clocks of two machines differ in pace by no more than twice this; the lease allows for a tenth. */
const CLOCK_ERROR = 0.045;
const MAX_FAULTS = 22;

export interface Machines {
  readonly servers: number;
  readonly agents: number;
  readonly gateways: number;
}

/** All machines have numbers: servers first, then client agents, then gateways. */
export function planFaults(seed: number, chaosMs: number, machines: Machines): readonly Fault[] {
  const random = new SeededRandom(seed * 7919 + 3);
  const all = machines.servers + machines.agents + machines.gateways;
  const count = 4 + randomInt(random, MAX_FAULTS - 4);
  // Some histories are all about one kind of trouble, which then meets itself.
  const favourite = random.next() < 0.4 ? pick(random, KINDS) : undefined;
  const faults: Fault[] = Array.from({ length: all }, (_, machine) => ({
    atMs: 0,
    kind: 'skew',
    machine,
    error: CLOCK_ERROR * (2 * random.next() - 1),
  }));
  for (let i = 0; i < count; i++) {
    const kind = favourite !== undefined && random.next() < 0.5 ? favourite : pick(random, KINDS);
    faults.push({ atMs: random.next() * chaosMs, ...kind(random, machines, all) } as Fault);
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

type FaultBody = Fault extends infer F ? (F extends Fault ? Omit<F, 'atMs'> : never) : never;
type MakeFault = (random: Random, machines: Machines, all: number) => FaultBody;

const crash: MakeFault = (random, { servers }) => ({
  kind: 'crash',
  target: someTarget(random, servers),
  downMs: 50 + random.next() * 3000,
  losesPower: random.next() < 0.4,
});
const crashAll: MakeFault = (random) => ({
  kind: 'crash-all',
  downMs: 50 + random.next() * 1500,
  losesPower: random.next() < 0.7,
});
const isolate: MakeFault = (random, { servers }) => ({
  kind: 'isolate',
  target: someTarget(random, servers),
  direction: pick(random, ['both', 'both', 'out', 'in']),
  forMs: 200 + random.next() * 4000,
});
const pause: MakeFault = (random, { servers }) => ({
  kind: 'pause',
  target: someTarget(random, servers),
  forMs: 50 + random.next() * 3000,
});
const weather: MakeFault = (random) => ({
  kind: 'weather',
  weather: {
    minDelayMs: CALM.minDelayMs,
    maxDelayMs: pick(random, [2, 20, 80, 250]),
    loss: pick(random, [0, 0.02, 0.1, 0.3]),
    duplication: pick(random, [0, 0.05, 0.3]),
    reordering: random.next() < 0.6,
  },
  forMs: 500 + random.next() * 4000,
});

const KINDS: readonly [MakeFault, ...MakeFault[]] = [
  crash,
  crash,
  crash,
  crashAll,
  isolate,
  isolate,
  pause,
  weather,
  weather,
  (random, { agents }) => ({
    kind: 'crash-agent',
    agent: randomInt(random, agents),
    downMs: random.next() * 2000,
  }),
  (random, { gateways }) => ({
    kind: 'crash-gateway',
    gateway: randomInt(random, gateways),
    downMs: random.next() * 1000,
  }),
  (random, _machines, all) => ({
    kind: 'cut',
    ...twoOf(random, all),
    isOneWay: random.next() < 0.5,
    forMs: 200 + random.next() * 4000,
  }),
  (random, _machines, all) => ({
    kind: 'partition',
    side: Array.from({ length: all }, (_, i) => i).filter(() => random.next() < 0.4),
    forMs: 200 + random.next() * 4000,
  }),
  (random, _machines, all) => ({
    kind: 'clog',
    ...twoOf(random, all),
    extraMs: 10 + random.next() * 800,
    forMs: 500 + random.next() * 3000,
  }),
  (random, _machines, all) => ({
    kind: 'jump',
    machine: randomInt(random, all),
    byMs: (random.next() - 0.5) * 120_000,
  }),
  (random, { servers }) => ({
    kind: 'slow-disk',
    target: someTarget(random, servers),
    maxDelayMs: pick(random, [5, 40, 300]),
    forMs: 500 + random.next() * 3000,
  }),
  (random, { servers }) => ({
    kind: 'full-disk',
    target: someTarget(random, servers),
    leftBytes: randomInt(random, 4000),
  }),
  (random, { servers }) => ({
    kind: 'failing-sync',
    target: someTarget(random, servers),
    afterSyncs: randomInt(random, 10),
  }),
  (random, { servers }) => ({
    kind: 'bit-flip',
    target: someTarget(random, servers),
    at: random.next(),
    downMs: 100 + random.next() * 1000,
  }),
  () => ({ kind: 'transfer' }),
  (random, { servers }) => ({ kind: 'snapshot', target: someTarget(random, servers) }),
  (random, { servers }) => ({ kind: 'remove-server', target: someTarget(random, servers) }),
  () => ({ kind: 'add-server' }),
];

/** One line for a trace. */
export function describeFault({ atMs, kind, ...rest }: Fault): string {
  const details = Object.entries(rest).map(([name, value]) => `${name} ${showValue(value)}`);
  return `${atMs.toFixed(0).padStart(6)} ms: ${kind}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}

function showValue(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(3);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Most often the leader: that is where it hurts. */
function someTarget(random: Random, servers: number): Target {
  const choice = random.next();
  if (choice < 0.45) return 'leader';
  return choice < 0.65 ? 'follower' : randomInt(random, servers);
}

function twoOf(random: Random, all: number): { readonly from: number; readonly to: number } {
  const from = randomInt(random, all);
  return { from, to: (from + 1 + randomInt(random, all - 1)) % all };
}

function pick<T>(random: Random, items: readonly [T, ...T[]] | readonly T[]): T {
  return items[randomInt(random, items.length)] as T;
}
