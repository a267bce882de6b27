/** Network coordinates (Vivaldi with height, adjustment and gravity, as Serf computes them): positions whose distance estimates round-trip time. */

import type { Random } from '../../../shared/env.ts';
import type { Coordinate } from '../../../shared/types/v1.ts';

const DIMENSIONS = 8;
const ERROR_MAX = 1.5;
const CE = 0.25;
const CC = 0.25;
const ADJUSTMENT_WINDOW = 20;
const HEIGHT_MIN = 1e-5;
const LATENCY_FILTER_SIZE = 3;
const GRAVITY_RHO = 150;
const ZERO = 1e-6;
const MAX_RTT_SECONDS = 10;

/** Where everyone starts: nowhere in particular, and unsure of it. */
export function originCoordinate(): Coordinate {
  return { Vec: new Array<number>(DIMENSIONS).fill(0), Error: ERROR_MAX, Adjustment: 0, Height: HEIGHT_MIN };
}

/** Estimated round trip between two coordinates, seconds, > 0. */
export function distanceSeconds(a: Coordinate, b: Coordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : raw;
}

/** Eight finite components and finite scalars. */
export function isValidCoordinate(c: Coordinate): boolean {
  return c.Vec.length === DIMENSIONS && [...c.Vec, c.Error, c.Adjustment, c.Height].every(Number.isFinite);
}

/**
 * The own position, pulled a little with every round trip measured.
 *
 * Invariant: `#coordinate` is valid; `#latencies` holds at most `LATENCY_FILTER_SIZE` samples for each node not yet forgotten.
 */
export class CoordinateClient {
  readonly #random: Random;
  readonly #origin = originCoordinate();
  readonly #latencies = new Map<string, number[]>();
  readonly #adjustments = new Array<number>(ADJUSTMENT_WINDOW).fill(0);
  #adjustmentAt = 0;
  #coordinate = originCoordinate();
  #resets = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A copy. */
  get coordinate(): Coordinate {
    return { ...this.#coordinate, Vec: [...this.#coordinate.Vec] };
  }

  /** How often the position had become invalid and was started over. */
  get resets(): number {
    return this.#resets;
  }

  forget(node: string): void {
    this.#latencies.delete(node);
  }

  /**
   * Takes in one round trip to `node`, which stands at `other`.
   *
   * @returns false when the sample is unusable (invalid coordinate, time outside 0 … 10 s) and nothing changed
   */
  update(node: string, other: Coordinate, rttSeconds: number): boolean {
    const isUsable = isValidCoordinate(other) && rttSeconds >= 0 && rttSeconds <= MAX_RTT_SECONDS;
    if (!isUsable) return false;
    const rtt = this.#filtered(node, rttSeconds);
    this.#move(other, rtt);
    this.#adjust(other, rtt);
    this.#gravitate();
    if (!isValidCoordinate(this.#coordinate)) {
      this.#coordinate = originCoordinate();
      this.#resets += 1;
    }
    return true;
  }

  /** The median of the last few samples: one late packet does not move us. */
  #filtered(node: string, rtt: number): number {
    const samples = this.#latencies.get(node) ?? [];
    samples.push(rtt);
    if (samples.length > LATENCY_FILTER_SIZE) samples.shift();
    this.#latencies.set(node, samples);
    const sorted = [...samples].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? rtt;
  }

  #move(other: Coordinate, rttSeconds: number): void {
    const own = this.#coordinate;
    const distance = distanceSeconds(own, other);
    const rtt = Math.max(rttSeconds, ZERO);
    const wrongness = Math.abs(distance - rtt) / rtt;
    const weight = own.Error / Math.max(own.Error + other.Error, ZERO);
    const error = Math.min(ERROR_MAX, CE * weight * wrongness + own.Error * (1 - CE * weight));
    const force = CC * weight * (rtt - distance);
    this.#coordinate = this.#pushed({ ...own, Error: error }, force, other);
  }

  #adjust(other: Coordinate, rtt: number): void {
    this.#adjustments[this.#adjustmentAt] = rtt - rawDistance(this.#coordinate, other);
    this.#adjustmentAt = (this.#adjustmentAt + 1) % ADJUSTMENT_WINDOW;
    const sum = this.#adjustments.reduce((total, sample) => total + sample, 0);
    this.#coordinate.Adjustment = sum / (2 * ADJUSTMENT_WINDOW);
  }

  /** Keeps the cloud of all coordinates from drifting away from the origin. */
  #gravitate(): void {
    const distance = distanceSeconds(this.#origin, this.#coordinate);
    this.#coordinate = this.#pushed(this.#coordinate, -((distance / GRAVITY_RHO) ** 2), this.#origin);
  }

  /** `from` moved by `force` seconds along the line that leads from `other` to it. */
  #pushed(from: Coordinate, force: number, other: Coordinate): Coordinate {
    const difference = from.Vec.map((component, i) => component - (other.Vec[i] ?? 0));
    const length = magnitude(difference);
    const unit = length > ZERO ? difference.map((d) => d / length) : this.#randomUnit();
    const Vec = from.Vec.map((component, i) => component + (unit[i] ?? 0) * force);
    if (length <= ZERO) return { ...from, Vec };
    const height = ((from.Height + other.Height) * force) / length + from.Height;
    return { ...from, Vec, Height: Math.max(HEIGHT_MIN, height) };
  }

  #randomUnit(): number[] {
    const direction = Array.from({ length: DIMENSIONS }, () => this.#random.next() - 0.5);
    const length = magnitude(direction);
    if (length > ZERO) return direction.map((d) => d / length);
    return direction.map((_, i) => (i === 0 ? 1 : 0));
  }
}

function rawDistance(a: Coordinate, b: Coordinate): number {
  return magnitude(a.Vec.map((component, i) => component - (b.Vec[i] ?? 0))) + a.Height + b.Height;
}

function magnitude(vector: readonly number[]): number {
  return Math.sqrt(vector.reduce((sum, component) => sum + component * component, 0));
}
