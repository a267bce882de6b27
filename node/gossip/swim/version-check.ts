/** Whether everyone's protocol versions overlap: the gate before a remote state is merged. */

import type { Versions } from '../codec/message-type.ts';

export interface VersionedNode {
  readonly name: string;
  /** Undefined when the sender gave none; counts as version 0. */
  readonly versions: Versions | undefined;
  readonly isAlive: boolean;
}

const NO_VERSIONS: Versions = [0, 0, 0, 0, 0, 0];

/** @returns undefined when all can talk to each other, else the text of the refusal */
export function versionConflict(
  remote: readonly VersionedNode[],
  local: readonly VersionedNode[],
): string | undefined {
  let protocolLow = 0;
  let protocolHigh = 255;
  let delegateLow = 0;
  let delegateHigh = 255;
  for (const node of [...remote, ...local]) {
    if (!node.isAlive || node.versions === undefined) continue;
    const [min, max, , delegateMin, delegateMax] = node.versions;
    protocolLow = Math.max(protocolLow, min);
    protocolHigh = Math.min(protocolHigh, max);
    delegateLow = Math.max(delegateLow, delegateMin);
    delegateHigh = Math.min(delegateHigh, delegateMax);
  }
  for (const node of [...remote, ...local]) {
    const [, , current, , , delegateCurrent] = node.versions ?? NO_VERSIONS;
    if (current < protocolLow || current > protocolHigh)
      return `Node '${node.name}' protocol version (${current}) is incompatible: [${protocolLow}, ${protocolHigh}]`;
    if (delegateCurrent < delegateLow || delegateCurrent > delegateHigh)
      return `Node '${node.name}' delegate protocol version (${delegateCurrent}) is incompatible: [${delegateLow}, ${delegateHigh}]`;
  }
  return undefined;
}
