/**
 * Judges what watchers of the same records were told: nothing lost, nothing told twice, never back in time.
 *
 * A watcher need not see every state in between: a blocking query tells how things are, not what happened. What it
 * must see is an index and versions that only rise, all changes up to the index that it was given, and the last state.
 */

export interface WatchedRecord {
  /** Rises with each change of the record, also over its deletion and return. */
  readonly modifyIndex: number;
  /** What the record says, in any form in which equal content is equal text. */
  readonly value: string;
}

/** All watched records that exist, by name. */
export type WatchView = Readonly<Record<string, WatchedRecord>>;

/**
 * One answer to a watcher. An answer that only says that the time to wait was over (the index that was asked for, after
 * the full wait) is no event and must be left out.
 */
export interface WatchEvent {
  /** The index that came with it: the view holds every change up to this one. */
  readonly index: number;
  readonly view: WatchView;
}

export interface WatchViolation {
  /** `forked`: one version of a record with two contents. */
  readonly kind: 'lost' | 'duplicated' | 'backward' | 'forked';
  readonly watcher: string;
  readonly text: string;
}

/**
 * @param watchers each watcher's events in the order in which it got them; all watch the same records
 * @param final    the last state, read after all changes and before the watchers were stopped
 * @returns at most one violation of a kind for each watcher, the first
 */
export function checkWatch(
  watchers: Readonly<Record<string, readonly WatchEvent[]>>,
  final: WatchView,
): WatchViolation[] {
  const versions = collectVersions(watchers, final);
  return Object.entries(watchers).flatMap(([watcher, events]) => {
    const found = [
      ...checkOrder(events),
      ...events.flatMap((event) => checkComplete(event, versions)),
      ...checkContent(events, versions),
      ...checkLast(events, final),
    ];
    const kinds = [...new Set(found.map(({ kind }) => kind))];
    return kinds
      .flatMap((kind) => found.filter((each) => each.kind === kind).slice(0, 1))
      .map((each) => ({ watcher, ...each }));
  });
}

type Found = Omit<WatchViolation, 'watcher'>;

/** Of each record, what all watchers together know: each version's index with the content first seen. */
type Versions = ReadonlyMap<string, ReadonlyMap<number, string>>;

function collectVersions(
  watchers: Readonly<Record<string, readonly WatchEvent[]>>,
  final: WatchView,
): Versions {
  const versions = new Map<string, Map<number, string>>();
  for (const view of [
    final,
    ...Object.values(watchers).flatMap((events) => events.map(({ view }) => view)),
  ]) {
    for (const [name, { modifyIndex, value }] of Object.entries(view)) {
      const ofRecord = versions.get(name) ?? new Map<number, string>();
      if (!ofRecord.has(modifyIndex)) ofRecord.set(modifyIndex, value);
      versions.set(name, ofRecord);
    }
  }
  return versions;
}

/** The index rises from event to event, and so does each record's version, even when the record was gone meanwhile. */
function checkOrder(events: readonly WatchEvent[]): Found[] {
  const found: Found[] = [];
  const newest = new Map<string, { readonly modifyIndex: number; readonly at: number }>();
  events.forEach(({ index, view }, at) => {
    const before = events[at - 1];
    if (before !== undefined && index < before.index) {
      found.push({ kind: 'backward', text: `index ${index} after ${before.index}` });
    }
    if (before !== undefined && index === before.index) {
      found.push(
        isSameView(view, before.view)
          ? { kind: 'duplicated', text: `index ${index} was told twice, with the same content` }
          : { kind: 'lost', text: `a change came without a new index: still ${index}` },
      );
    }
    for (const [name, { modifyIndex }] of Object.entries(view)) {
      const last = newest.get(name);
      if (last !== undefined && modifyIndex < last.modifyIndex) {
        found.push({
          kind: 'backward',
          text: `${name}: version ${modifyIndex} after ${last.modifyIndex}, at index ${index}`,
        });
      } else if (last !== undefined && modifyIndex === last.modifyIndex && last.at < at - 1) {
        found.push({
          kind: 'backward',
          text: `${name}: version ${modifyIndex} was gone and came back, at index ${index}`,
        });
      }
      if (last === undefined || modifyIndex >= last.modifyIndex) newest.set(name, { modifyIndex, at });
    }
  });
  return found;
}

/** An event with an index shows no version of a record that another one had replaced by then. */
function checkComplete({ index, view }: WatchEvent, versions: Versions): Found[] {
  return Object.entries(view).flatMap(([name, { modifyIndex }]) => {
    const newer = [...(versions.get(name)?.keys() ?? [])].find((at) => at > modifyIndex && at <= index);
    if (newer === undefined) return [];
    return [
      {
        kind: 'lost' as const,
        text: `${name}: the answer with index ${index} shows version ${modifyIndex}, but there is version ${newer}`,
      },
    ];
  });
}

function checkContent(events: readonly WatchEvent[], versions: Versions): Found[] {
  return events.flatMap(({ index, view }) =>
    Object.entries(view).flatMap(([name, { modifyIndex, value }]) => {
      const known = versions.get(name)?.get(modifyIndex);
      if (known === value) return [];
      const text = `${name}: version ${modifyIndex} is ${value} at index ${index}, and ${known} elsewhere`;
      return [{ kind: 'forked' as const, text }];
    }),
  );
}

function checkLast(events: readonly WatchEvent[], final: WatchView): Found[] {
  const last = events.at(-1);
  if (last === undefined) return [{ kind: 'lost', text: 'it was never told anything' }];
  if (isSameView(last.view, final)) return [];
  const names = new Set([...Object.keys(last.view), ...Object.keys(final)]);
  const different = [...names].filter((name) => !isSameRecord(last.view[name], final[name]));
  const shown = different
    .slice(0, 5)
    .map((name) => `${name}: told ${showRecord(last.view[name])}, is ${showRecord(final[name])}`);
  return [
    { kind: 'lost', text: `the last state was not told (last index ${last.index}): ${shown.join('; ')}` },
  ];
}

function isSameView(a: WatchView, b: WatchView): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => isSameRecord(a[name], b[name]));
}

function isSameRecord(a: WatchedRecord | undefined, b: WatchedRecord | undefined): boolean {
  return a?.modifyIndex === b?.modifyIndex && a?.value === b?.value;
}

function showRecord(record: WatchedRecord | undefined): string {
  return record === undefined ? 'absent' : `version ${record.modifyIndex} (${record.value})`;
}
