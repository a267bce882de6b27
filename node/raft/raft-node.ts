/** How a server's consensus is made; what it then does is in driver/raft-driver.ts. */

import type { RaftCore } from './core/core.ts';
import { type RaftNodeOptions, resolveOptions } from './driver/options.ts';
import { RaftDriver } from './driver/raft-driver.ts';
import type { RaftNode } from './types.ts';

export type { RaftNodeOptions, RaftTiming } from './driver/options.ts';
export { raftTiming } from './driver/options.ts';

/**
 * Makes a server's consensus; nothing runs before `start`.
 *
 * @throws Error when an option is out of range
 */
export function createRaftNode(options: RaftNodeOptions): RaftNode {
  return new RaftDriver(resolveOptions(options));
}

/** What a node's core holds, for the simulator's checks; undefined before `start`. Only to be read. */
export function coreOf(node: RaftNode): RaftCore | undefined {
  return node instanceof RaftDriver ? node.core : undefined;
}
