/** The filter box of a list: every word must be found somewhere in an item. Pure. */

/** What an item can be found by; `tag:web` looks only at the field `tag`. */
export type Searchable = Readonly<Record<string, readonly string[]>>;

/**
 * Words are separated by blanks and compared without regard to case; a word with the name of a field and a colon before
 * it must occur in that field.
 */
export function matchesFilter(filter: string, item: Searchable): boolean {
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => word === '' || isFound(word, item));
}

function isFound(word: string, item: Searchable): boolean {
  const colon = word.indexOf(':');
  const field = colon > 0 ? item[word.slice(0, colon)] : undefined;
  const values = field ?? Object.values(item).flat();
  const wanted = field === undefined ? word : word.slice(colon + 1);
  return values.some((value) => value.toLowerCase().includes(wanted));
}
