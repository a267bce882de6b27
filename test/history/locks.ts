/** Judges who held which lock when: never two sessions at a time. */

/** A time in which a session was certain to hold a lock. */
export interface Hold {
  readonly session: string;
  readonly key: string;
  /** When its holder had been told that it holds the lock. */
  readonly from: number;
  /**
   * The last time at which it can't have lost it: before it asked for the release, or for the end of its session, or
   * before the earliest time at which the session may have ended without being asked to. Not after `from`: no hold.
   */
  readonly to: number;
}

export interface LockViolation {
  readonly key: string;
  readonly sessions: readonly [string, string];
  readonly text: string;
}

/** @returns a violation for each hold that begins before an earlier one of another session is over */
export function checkLocks(holds: readonly Hold[]): LockViolation[] {
  const violations: LockViolation[] = [];
  for (const [key, ofKey] of Map.groupBy(holds, (hold) => hold.key)) {
    // Of holds so far, the one that ends last, and the one that ends last among those of any other session.
    let last: Hold | undefined;
    let lastOfAnother: Hold | undefined;
    const real = ofKey.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from || a.to - b.to);
    for (const hold of real) {
      const other = last?.session === hold.session ? lastOfAnother : last;
      if (other !== undefined && other.to > hold.from) violations.push(overlap(key, other, hold));
      if (last === undefined || hold.to > last.to) {
        if (last !== undefined && last.session !== hold.session) lastOfAnother = last;
        last = hold;
      } else if (
        last.session !== hold.session &&
        (lastOfAnother === undefined || hold.to > lastOfAnother.to)
      ) {
        lastOfAnother = hold;
      }
    }
  }
  return violations;
}

function overlap(key: string, first: Hold, second: Hold): LockViolation {
  return {
    key,
    sessions: [first.session, second.session],
    text: `${key}: ${show(second)} while ${show(first)}`,
  };
}

function show({ session, from, to }: Hold): string {
  return `${session} held it from ${from} to ${to}`;
}
