import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import type { Coordinate } from '../../../shared/types/v1.ts';
import { CoordinateClient, distanceSeconds, isValidCoordinate, originCoordinate } from './vivaldi.ts';

const at = (x: number, rest: Partial<Coordinate> = {}): Coordinate => ({
  Vec: [x, 0, 0, 0, 0, 0, 0, 0],
  Error: 1.5,
  Adjustment: 0,
  Height: 1e-5,
  ...rest,
});

describe('distance', () => {
  it('is the way between the vectors plus both heights', () => {
    expect(distanceSeconds(at(0), at(0.1))).toBeCloseTo(0.10002, 10);
  });

  it('adds both adjustments unless that would not leave anything', () => {
    expect(distanceSeconds(at(0, { Adjustment: 0.01 }), at(0.1))).toBeCloseTo(0.11002, 10);
    expect(distanceSeconds(at(0, { Adjustment: -5 }), at(0.1))).toBeCloseTo(0.10002, 10);
  });
});

describe('the coordinate client', () => {
  it('takes one step as the formulas say', () => {
    const client = new CoordinateClient(new SeededRandom(1));
    expect(client.update('a', at(0.05), 0.1)).toBe(true);
    const { Vec, Error: error, Height, Adjustment } = client.coordinate;
    // weight ½, force ¼·½·(0.1 − 0.05002) away from the other
    const force = 0.125 * (0.1 - 0.05002);
    expect(Vec[0]).toBeCloseTo(-force, 6);
    expect(Height).toBeCloseTo((2e-5 * force) / 0.05 + 1e-5, 8);
    expect(error).toBeCloseTo(Math.min(1.5, 0.125 * (0.04998 / 0.1) + 1.5 * 0.875), 6);
    expect(Adjustment).toBeCloseTo((0.1 - (0.05 + force + Height + 1e-5)) / 40, 6);
  });

  it('uses the median of the last three samples of a node', () => {
    const steady = new CoordinateClient(new SeededRandom(1));
    const spiky = new CoordinateClient(new SeededRandom(1));
    for (const rtt of [0.1, 0.1, 0.1]) steady.update('a', at(0.05), rtt);
    for (const rtt of [0.1, 0.1, 9]) spiky.update('a', at(0.05), rtt);
    expect(spiky.coordinate).toEqual(steady.coordinate);
  });

  it('rejects what is no coordinate and no round trip', () => {
    const client = new CoordinateClient(new SeededRandom(1));
    const bad: [Coordinate, number][] = [
      [at(Number.NaN), 0.1],
      [at(Number.POSITIVE_INFINITY), 0.1],
      [{ ...at(0), Vec: [0, 0] }, 0.1],
      [at(0), -0.1],
      [at(0), 10.1],
    ];
    for (const [coordinate, rtt] of bad) expect(client.update('a', coordinate, rtt)).toBe(false);
    expect(client.coordinate).toEqual(originCoordinate());
  });

  it('starts over when it is thrown out of all bounds', () => {
    const client = new CoordinateClient(new SeededRandom(1));
    client.update('a', at(1e308), 0.1);
    client.update('b', at(-1e308), 0.1);
    expect(isValidCoordinate(client.coordinate)).toBe(true);
    expect(client.resets).toBeGreaterThan(0);
  });

  it('finds the distances of a small world', () => {
    const random = new SeededRandom(9);
    const places = Array.from({ length: 10 }, () => [random.next() * 0.1, random.next() * 0.1] as const);
    const clients = places.map((_, i) => new CoordinateClient(new SeededRandom(i)));
    const rtt = (i: number, j: number): number => {
      const [ax, ay] = places[i] ?? [0, 0];
      const [bx, by] = places[j] ?? [0, 0];
      return Math.hypot(ax - bx, ay - by) + 0.002;
    };
    for (let round = 0; round < 2000; round++) {
      const i = round % 10;
      const j = (i + 1 + Math.floor(random.next() * 9)) % 10;
      const other = clients[j];
      if (other !== undefined) clients[i]?.update(`n${j}`, other.coordinate, rtt(i, j));
    }
    let worst = 0;
    for (let i = 0; i < 10; i++)
      for (let j = 0; j < i; j++) {
        const a = clients[i]?.coordinate ?? originCoordinate();
        const b = clients[j]?.coordinate ?? originCoordinate();
        worst = Math.max(worst, Math.abs(distanceSeconds(a, b) - rtt(i, j)));
      }
    expect(worst).toBeLessThan(0.02);
  });
});
