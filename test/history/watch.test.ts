import { expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { checkWatch, type WatchEvent, type WatchView } from './watch.ts';

const a = (modifyIndex: number, value = `a${modifyIndex}`): WatchView => ({ a: { modifyIndex, value } });
const event = (index: number, view: WatchView): WatchEvent => ({ index, view });
const kindsOf = (events: readonly WatchEvent[], final: WatchView, other: readonly WatchEvent[] = events) =>
  checkWatch({ w: events, other }, final)
    .filter(({ watcher }) => watcher === 'w')
    .map(({ kind }) => kind);

test('a watcher that skips states but sees the last one is well served', () => {
  expect(checkWatch({ w: [event(3, a(3)), event(9, a(8)), event(12, {}), event(14, a(14))] }, a(14))).toEqual(
    [],
  );
  expect(checkWatch({ w: [event(1, {})] }, {})).toEqual([]);
});

test('a last state that was not told is lost', () => {
  expect(checkWatch({ w: [event(3, a(3))] }, a(5))).toEqual([
    {
      kind: 'lost',
      watcher: 'w',
      text: 'the last state was not told (last index 3): a: told version 3 (a3), is version 5 (a5)',
    },
  ]);
  expect(kindsOf([event(3, a(3))], {})).toEqual(['lost']);
  expect(kindsOf([event(3, {})], a(3), [])).toEqual(['lost']);
  expect(kindsOf([], {})).toEqual(['lost']);
});

test('an answer whose index covers a change that it does not show has lost it', () => {
  // Another watcher knows version 4; an answer that claims to be as new as 6 must show it or a newer one.
  const other = [event(4, a(4)), event(8, a(8))];
  expect(kindsOf([event(6, a(3)), event(8, a(8))], a(8), other)).toEqual(['lost']);
  expect(kindsOf([event(3, a(3)), event(8, a(8))], a(8), other)).toEqual([]);
});

test('the same index twice is a duplicate, or a change that others would miss', () => {
  expect(kindsOf([event(3, a(3)), event(3, a(3))], a(3))).toEqual(['duplicated']);
  expect(kindsOf([event(5, a(3)), event(5, {})], {})).toEqual(['lost']);
});

test('neither the index nor a version goes back', () => {
  expect(kindsOf([event(5, a(5)), event(4, a(5))], a(5))).toEqual(['backward']);
  expect(kindsOf([event(5, a(5)), event(6, a(4))], a(4))).toContain('backward');
  // Deleted, and there again as it was.
  expect(kindsOf([event(5, a(5)), event(6, {}), event(7, a(5))], a(5))).toEqual(['backward']);
  expect(kindsOf([event(5, a(5)), event(6, {}), event(7, a(7))], a(7))).toEqual([]);
});

test('one version has one content', () => {
  expect(kindsOf([event(5, a(5, 'x'))], a(5, 'x'), [event(5, a(5, 'y'))])).toEqual([]);
  expect(
    checkWatch({ w: [event(5, a(5, 'x')), event(7, a(7))], v: [event(5, a(5, 'y')), event(7, a(7))] }, a(7)),
  ).toEqual([{ kind: 'forked', watcher: 'v', text: 'a: version 5 is y at index 5, and x elsewhere' }]);
});

/** A log of changes to three records; a watcher sees the state at some of its indexes. */
function randomWatch(random: SeededRandom): { readonly events: WatchEvent[]; readonly final: WatchView } {
  let view: WatchView = {};
  let touched = 1;
  const events: WatchEvent[] = [event(touched, view)];
  for (let index = 2; index < 60; index++) {
    const name = 'abc'[Math.floor(random.next() * 3)] ?? 'a';
    if (random.next() < 0.3) {
      if (view[name] === undefined) continue;
      view = Object.fromEntries(Object.entries(view).filter(([other]) => other !== name));
    } else view = { ...view, [name]: { modifyIndex: index, value: `v${index}` } };
    touched = index;
    if (random.next() < 0.5) events.push(event(index, view));
  }
  if (events.at(-1)?.index !== touched) events.push(event(touched, view));
  return { events, final: view };
}

test('random watches pass; with two events swapped, one repeated or the last one dropped they do not', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new SeededRandom(seed);
    const { events, final } = randomWatch(random);
    expect([seed, kindsOf(events, final)]).toEqual([seed, []]);
    const at = 1 + Math.floor(random.next() * (events.length - 2));
    const [one, two] = events.slice(at, at + 2);
    if (one === undefined || two === undefined) continue;
    expect(kindsOf(events.toSpliced(at, 2, two, one), final)).toContain('backward');
    expect(kindsOf(events.toSpliced(at, 0, one), final)).toEqual(['duplicated']);
    // What was made and removed again in between need not be told.
    const isSame = JSON.stringify(events.at(-2)?.view) === JSON.stringify(final);
    expect(kindsOf(events.slice(0, -1), final)).toEqual(isSame ? [] : ['lost']);
  }
});
