/** Waiting for other processes: conditions are asked again until they hold; nobody sleeps for a guess. */

/**
 * @param probe returns the value waited for, or undefined to be asked again; what it throws counts as "not yet"
 * @throws Error naming `what` and the last failure when `timeoutMs` has passed
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = 30_000,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > until) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
