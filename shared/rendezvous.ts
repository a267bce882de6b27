/** Rendezvous hashing (Thaler & Ravishankar 1998): gateways and leaders pick the same owner, and few owners move when the pool changes. */

/**
 * Orders candidates by their score for a key, best first. A candidate that goes takes only its own keys with it.
 *
 * @param nameOf a name that is the same for everyone who asks, and stable over restarts
 */
export function byRendezvous<T>(
  key: string,
  candidates: readonly T[],
  nameOf: (candidate: T) => string,
): T[] {
  const seed = hashText(0x811c9dc5, key);
  return candidates
    .map((candidate) => ({ candidate, name: nameOf(candidate) }))
    .map((entry) => ({ ...entry, score: finish(hashText(seed, `\0${entry.name}`)) }))
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .map(({ candidate }) => candidate);
}

/** FNV-1a over UTF-16 code units, 32 bits. */
function hashText(seed: number, text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

/** MurmurHash3's finalizer: FNV alone lets names that differ only at the end score alike. */
function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
