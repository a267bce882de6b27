/** What a node believes after hearing that another is alive, suspect or dead, and how it defends itself. */

import { hostPort, ipText } from '../codec/ip-address.ts';
import { OWN_VERSIONS } from '../codec/message-type.ts';
import {
  type Alive,
  type Dead,
  encodeMessage,
  ownBytes,
  type Suspect,
  type SwimMessage,
} from '../codec/messages.ts';
import { log, type SwimContext, snapshotOf } from './context.ts';
import { isDeadOrLeft, type SwimNode } from './node-table.ts';
import { confirmationsOf, confirmSuspicion, startSuspicion } from './suspicion.ts';

/** A dead node may come back under another address after this long. */
const RECLAIM_MS = 30_000;
/** Names beyond this many are not learned: a bound against a flood of invented nodes. */
const MAX_NODES = 65_536;
const MAX_INCARNATION = 0xffff_ffff;

/** Makes this node a member of its own table and announces it. */
export function announceSelf(context: SwimContext, meta: Uint8Array): void {
  context.incarnation = nextIncarnation(context, 0);
  const { nodeName, address, port } = context.config;
  const alive: Alive = {
    type: 'alive',
    incarnation: context.incarnation,
    node: nodeName,
    address,
    port,
    meta,
    versions: OWN_VERSIONS,
  };
  acceptAlive(context, context.nodes.get(nodeName) ?? addUnknown(context, alive), alive);
}

export function hearAlive(context: SwimContext, heard: Alive): void {
  const isSelf = heard.node === context.config.nodeName;
  if (isSelf && context.isLeaving) return;
  const alive = heard.port === 0 ? { ...heard, port: context.config.bindPort } : heard;
  const known = context.nodes.get(alive.node);
  // Most repeats of known news end here, before the costlier checks.
  if (known !== undefined && isOldNews(known, alive, isSelf)) return;
  if (!isAcceptable(context, alive)) return;
  if (known === undefined) {
    if (context.nodes.size < MAX_NODES) acceptAlive(context, addUnknown(context, alive), alive);
    return;
  }
  if (!isSameAddress(known, alive) && !mayMove(context, known, alive)) return;
  known.suspicion = undefined;
  if (!isSelf) {
    acceptAlive(context, known, alive);
    return;
  }
  if (alive.incarnation === known.incarnation && isSameAnnouncement(known, alive)) return;
  refute(context, known, alive.incarnation);
  log(context, 'WARN', `Refuting an alive message for '${known.name}' (${hostPort(known.host, known.port)})`);
}

export function hearSuspect(context: SwimContext, suspect: Suspect): void {
  const node = context.nodes.get(suspect.node);
  if (node === undefined || suspect.incarnation < node.incarnation) return;
  if (node.suspicion !== undefined) {
    if (!confirmSuspicion(node.suspicion, suspect.from, context.nowMs)) return;
    context.deadlines.set(node.suspicion.dueAtMs, { kind: 'suspicion', name: node.name });
    broadcast(context, node.name, suspect);
    return;
  }
  if (node.state !== 'alive') return;
  if (node.name === context.config.nodeName) {
    refute(context, node, suspect.incarnation);
    log(context, 'WARN', `Refuting a suspect message (from: ${suspect.from})`);
    return;
  }
  broadcast(context, node.name, suspect);
  node.incarnation = suspect.incarnation;
  node.state = 'suspect';
  node.changedAtMs = context.nowMs;
  const { suspicionMult, probeIntervalMs } = context.config.timers;
  node.suspicion = startSuspicion(
    suspicionMult,
    context.nodes.size,
    probeIntervalMs,
    suspect.from,
    context.nowMs,
  );
  context.deadlines.set(node.suspicion.dueAtMs, { kind: 'suspicion', name: node.name });
}

/** A suspicion deadline came: the node is declared dead unless it refuted or the deadline has moved. */
export function endSuspicion(context: SwimContext, name: string): void {
  const node = context.nodes.get(name);
  if (node?.suspicion === undefined || node.suspicion.dueAtMs > context.nowMs) return;
  const confirmations = confirmationsOf(node.suspicion);
  log(
    context,
    'INFO',
    `Marking ${name} as failed, suspect timeout reached (${confirmations} peer confirmations)`,
  );
  const { incarnation } = node;
  hearDead(context, { type: 'dead', incarnation, node: name, from: context.config.nodeName });
}

export function hearDead(context: SwimContext, dead: Dead, onBroadcast?: () => void): void {
  const node = context.nodes.get(dead.node);
  if (node === undefined || dead.incarnation < node.incarnation) return;
  if (isDeadOrLeft(node)) {
    node.suspicion = undefined;
    return;
  }
  if (node.name === context.config.nodeName && !context.isLeaving) {
    refute(context, node, dead.incarnation);
    log(context, 'WARN', `Refuting a dead message (from: ${dead.from})`);
    return;
  }
  node.suspicion = undefined;
  broadcast(context, node.name, dead, onBroadcast);
  node.incarnation = dead.incarnation;
  node.state = dead.node === dead.from ? 'left' : 'dead';
  node.changedAtMs = context.nowMs;
  context.effects.push({ kind: 'gone', node: snapshotOf(node) });
}

/** Raises the own incarnation above what was claimed and says so to all. */
function refute(context: SwimContext, self: SwimNode, claimedIncarnation: number): void {
  context.incarnation = nextIncarnation(context, claimedIncarnation);
  self.incarnation = context.incarnation;
  context.awareness.apply(1);
  const { name, address, port, meta, incarnation } = self;
  broadcast(context, name, {
    type: 'alive',
    incarnation,
    node: name,
    address,
    port,
    meta,
    versions: OWN_VERSIONS,
  });
}

function nextIncarnation(context: SwimContext, claimed: number): number {
  return Math.min(MAX_INCARNATION, Math.max(context.incarnation + 1, claimed + 1));
}

function addUnknown(context: SwimContext, alive: Alive): SwimNode {
  const node: SwimNode = {
    name: alive.node,
    address: ownBytes(alive.address),
    host: ipText(alive.address) ?? '',
    port: alive.port,
    meta: ownBytes(alive.meta),
    versions: alive.versions ?? OWN_VERSIONS,
    incarnation: 0,
    state: 'dead',
    changedAtMs: context.nowMs,
    suspicion: undefined,
  };
  context.nodes.add(node);
  return node;
}

function acceptAlive(context: SwimContext, node: SwimNode, alive: Alive): void {
  broadcast(context, node.name, alive);
  const wasGone = isDeadOrLeft(node);
  const isMetaChanged = Buffer.compare(node.meta, alive.meta) !== 0;
  if (alive.versions !== undefined) node.versions = alive.versions;
  node.incarnation = alive.incarnation;
  node.suspicion = undefined;
  if (isMetaChanged) node.meta = ownBytes(alive.meta);
  if (!isSameAddress(node, alive)) {
    node.address = ownBytes(alive.address);
    node.host = ipText(alive.address) ?? '';
    node.port = alive.port;
  }
  if (node.state !== 'alive') {
    node.state = 'alive';
    node.changedAtMs = context.nowMs;
  }
  if (wasGone) context.effects.push({ kind: 'joined', node: snapshotOf(node) });
  else if (isMetaChanged) context.effects.push({ kind: 'updated', node: snapshotOf(node) });
}

function isOldNews(known: SwimNode, alive: Alive, isSelf: boolean): boolean {
  if (!isSameAddress(known, alive)) return false;
  return isSelf ? alive.incarnation < known.incarnation : alive.incarnation <= known.incarnation;
}

/** Well-formed, of a version we speak, and welcome to the layer above. */
function isAcceptable(context: SwimContext, alive: Alive): boolean {
  const ignoring = `ignoring alive message for '${alive.node}'`;
  const host = ipText(alive.address);
  if (host === undefined || alive.node === '') {
    log(context, 'WARN', `${ignoring}: invalid address or name`);
    return false;
  }
  const at = `(${hostPort(host, alive.port)})`;
  if (alive.versions === undefined) {
    log(context, 'WARN', `${ignoring} ${at} because Vsn is not present`);
    return false;
  }
  const [min, max] = alive.versions;
  if (min === 0 || max === 0 || min > max) {
    log(
      context,
      'WARN',
      `${ignoring} ${at} because protocol version(s) are wrong: ${min} <= ${max} should be >0`,
    );
    return false;
  }
  const refusal = context.delegate.refusal(alive);
  if (refusal !== undefined) log(context, 'WARN', `${ignoring}: ${refusal}`);
  return refusal === undefined;
}

/** A name may change its address once its old holder has left or has been dead for long. */
function mayMove(context: SwimContext, known: SwimNode, alive: Alive): boolean {
  const from = hostPort(known.host, known.port);
  const to = hostPort(ipText(alive.address) ?? '', alive.port);
  const isReclaimable = known.state === 'dead' && context.nowMs - known.changedAtMs > RECLAIM_MS;
  if (known.state === 'left' || isReclaimable) {
    log(context, 'INFO', `Updating address for left or failed node ${known.name} from ${from} to ${to}`);
    return true;
  }
  log(
    context,
    'ERROR',
    `Conflicting address for ${known.name}. Mine: ${from} Theirs: ${to} Old state: ${STATE_NUMBER[known.state]}`,
  );
  const host = ipText(alive.address) ?? '';
  context.effects.push({ kind: 'conflict', known: snapshotOf(known), host, port: alive.port });
  return false;
}

const STATE_NUMBER = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;

function isSameAddress(node: SwimNode, alive: Alive): boolean {
  return node.port === alive.port && Buffer.compare(node.address, alive.address) === 0;
}

function isSameAnnouncement(self: SwimNode, alive: Alive): boolean {
  const isSameVersions = OWN_VERSIONS.every((version, i) => version === alive.versions?.[i]);
  return isSameVersions && Buffer.compare(self.meta, alive.meta) === 0;
}

function broadcast(
  context: SwimContext,
  subject: string,
  message: SwimMessage,
  onFinished?: () => void,
): void {
  context.broadcasts.queue({ bytes: encodeMessage(message), subject, onFinished });
}
