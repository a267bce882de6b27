/** What grows with the size of the pool: how often a message is repeated and how rarely full states are exchanged. */

const PUSH_PULL_SCALE_THRESHOLD = 32;

/** How many times a broadcast is sent before it is dropped. */
export function retransmitLimit(retransmitMult: number, nodes: number): number {
  return retransmitMult * Math.ceil(Math.log10(nodes + 1));
}

/** Milliseconds between full state exchanges: the base up to 32 nodes, once more for each doubling begun after that. */
export function pushPullIntervalMs(baseMs: number, nodes: number): number {
  if (nodes <= PUSH_PULL_SCALE_THRESHOLD) return baseMs;
  return baseMs * (Math.ceil(Math.log2(nodes) - Math.log2(PUSH_PULL_SCALE_THRESHOLD)) + 1);
}
