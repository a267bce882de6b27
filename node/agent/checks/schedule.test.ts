import { describe, expect, it } from 'vitest';
import { CheckSchedule, type ScheduleEffect } from './schedule.ts';
import { TtlDeadlines } from './ttl-deadlines.ts';

const brief = (effects: ScheduleEffect[]) =>
  effects.map((effect) =>
    effect.kind === 'start' ? `start ${effect.id}#${effect.run}` : `cancel #${effect.run}`,
  );

describe('the schedule', () => {
  it('runs first after the delay, then an interval after each completion', () => {
    const schedule = new CheckSchedule(10);
    expect(schedule.step({ kind: 'add', id: 'a', intervalMs: 100, firstDelayMs: 30 }, 0)).toEqual([]);
    expect(schedule.nextDueMs()).toBe(30);
    expect(schedule.step({ kind: 'tick' }, 29)).toEqual([]);
    expect(brief(schedule.step({ kind: 'tick' }, 30))).toEqual(['start a#1']);
    expect(schedule.nextDueMs()).toBeUndefined();
    expect(schedule.step({ kind: 'finished', run: 1 }, 75)).toEqual([]);
    expect(schedule.nextDueMs()).toBe(175);
    expect(brief(schedule.step({ kind: 'tick' }, 175))).toEqual(['start a#2']);
  });

  it('never overlaps a check with itself', () => {
    const schedule = new CheckSchedule(10);
    schedule.step({ kind: 'add', id: 'a', intervalMs: 10, firstDelayMs: 0 }, 0);
    for (let now = 0; now < 1000; now += 10) expect(schedule.step({ kind: 'tick' }, now)).toEqual([]);
    expect(brief(schedule.step({ kind: 'finished', run: 1 }, 1000))).toEqual([]);
  });

  it('holds checks back beyond the bound, first come first served', () => {
    const schedule = new CheckSchedule(2);
    const starts = ['a', 'b', 'c', 'd'].flatMap((id) =>
      brief(schedule.step({ kind: 'add', id, intervalMs: 10, firstDelayMs: 0 }, 0)),
    );
    expect(starts).toEqual(['start a#1', 'start b#2']);
    expect(brief(schedule.step({ kind: 'finished', run: 2 }, 5))).toEqual(['start c#3']);
    expect(brief(schedule.step({ kind: 'finished', run: 1 }, 6))).toEqual(['start d#4']);
  });

  it('cancels the run of a removed check and keeps its place until it ended', () => {
    const schedule = new CheckSchedule(1);
    schedule.step({ kind: 'add', id: 'a', intervalMs: 10, firstDelayMs: 0 }, 0);
    schedule.step({ kind: 'add', id: 'b', intervalMs: 10, firstDelayMs: 0 }, 0);
    expect(brief(schedule.step({ kind: 'remove', id: 'a' }, 1))).toEqual(['cancel #1']);
    expect(brief(schedule.step({ kind: 'finished', run: 1 }, 2))).toEqual(['start b#2']);
    expect(schedule.nextDueMs()).toBeUndefined();
  });

  it('starts a replaced check anew', () => {
    const schedule = new CheckSchedule(10);
    schedule.step({ kind: 'add', id: 'a', intervalMs: 10, firstDelayMs: 0 }, 0);
    expect(brief(schedule.step({ kind: 'add', id: 'a', intervalMs: 50, firstDelayMs: 20 }, 5))).toEqual([
      'cancel #1',
    ]);
    expect(schedule.step({ kind: 'finished', run: 1 }, 6)).toEqual([]);
    expect(schedule.nextDueMs()).toBe(25);
  });

  it('stays small when a check is replaced over and over', () => {
    const schedule = new CheckSchedule(10);
    for (let i = 0; i < 10_000; i++)
      schedule.step({ kind: 'add', id: 'a', intervalMs: 3_600_000, firstDelayMs: 3_600_000 }, i);
    expect(schedule.size).toBe(1);
    expect(schedule.nextDueMs()).toBe(9_999 + 3_600_000);
  });

  it('never runs more than the bound, whatever the order of events', () => {
    for (let seed = 1; seed <= 20; seed++) {
      let random = seed;
      const next = (bound: number) => {
        random = (random * 48271) % 0x7fffffff;
        return random % bound;
      };
      const schedule = new CheckSchedule(3);
      const started = new Map<number, string>();
      let now = 0;
      for (let step = 0; step < 500; step++) {
        const effects: ScheduleEffect[] = [];
        const choice = next(4);
        if (choice === 0)
          effects.push(
            ...schedule.step(
              { kind: 'add', id: `c${next(8)}`, intervalMs: 10 + next(50), firstDelayMs: next(20) },
              now,
            ),
          );
        else if (choice === 1) effects.push(...schedule.step({ kind: 'remove', id: `c${next(8)}` }, now));
        else if (choice === 2) effects.push(...schedule.step({ kind: 'tick' }, now));
        else {
          const run = [...started.keys()][0];
          if (run !== undefined) {
            started.delete(run);
            effects.push(...schedule.step({ kind: 'finished', run }, now));
          }
        }
        for (const effect of effects) if (effect.kind === 'start') started.set(effect.run, effect.id);
        expect(started.size).toBeLessThanOrEqual(3);
        now += next(10);
      }
    }
  });
});

describe('TTL deadlines', () => {
  it('expire once, until renewed', () => {
    const ttls = new TtlDeadlines();
    ttls.set('a', 100, 0);
    expect(ttls.step(99)).toEqual([]);
    expect(ttls.step(100)).toEqual(['a']);
    expect(ttls.step(1000)).toEqual([]);
    expect(ttls.nextDueMs()).toBeUndefined();
    expect(ttls.renew('a', 1000)).toBe(true);
    expect(ttls.nextDueMs()).toBe(1100);
    expect(ttls.step(1100)).toEqual(['a']);
  });

  it('move with each renewal without growing', () => {
    const ttls = new TtlDeadlines();
    ttls.set('a', 100, 0);
    for (let now = 50; now <= 5000; now += 50) {
      ttls.renew('a', now);
      expect(ttls.step(now)).toEqual([]);
    }
    expect(ttls.step(5099)).toEqual([]);
    expect(ttls.step(5100)).toEqual(['a']);
  });

  it('are forgotten with the check', () => {
    const ttls = new TtlDeadlines();
    ttls.set('a', 100, 0);
    ttls.remove('a');
    expect(ttls.has('a')).toBe(false);
    expect(ttls.renew('a', 10)).toBe(false);
    expect(ttls.nextDueMs()).toBeUndefined();
    expect(ttls.step(1000)).toEqual([]);
  });

  it('start anew when set again', () => {
    const ttls = new TtlDeadlines();
    ttls.set('a', 100, 0);
    ttls.set('a', 500, 50);
    expect(ttls.step(400)).toEqual([]);
    expect(ttls.step(550)).toEqual(['a']);
  });
});
