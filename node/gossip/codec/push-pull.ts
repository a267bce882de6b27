/** The state exchanged over a stream: every known node, then serf's own state. */

import { MessageType, type Versions } from './message-type.ts';
import { bytesField, expectType, ownBytes, sixVersions, stringField, uintField } from './messages.ts';
import { DecodeError, forEachField, type MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith, type MsgpackWriter } from './msgpack-writer.ts';

export type RemoteState = 'alive' | 'suspect' | 'dead' | 'left';

/** Numbered as on the wire. */
const STATES: readonly RemoteState[] = ['alive', 'suspect', 'dead', 'left'];

export interface PushNodeState {
  readonly name: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly incarnation: number;
  readonly state: RemoteState;
  /** Undefined when the sender gave fewer than six. */
  readonly versions: Versions | undefined;
}

export interface PushPull {
  readonly isJoin: boolean;
  readonly nodes: readonly PushNodeState[];
  readonly userState: Uint8Array;
}

export interface PushPullHeader {
  readonly nodes: number;
  readonly userStateBytes: number;
  readonly isJoin: boolean;
}

const MAX_UINT32 = 0xffff_ffff;

export function encodePushPull(exchange: PushPull): Uint8Array {
  return encodeWith((out) => {
    out.byte(MessageType.pushPull);
    out.map(3);
    out.string('Join');
    out.bool(exchange.isJoin);
    uintField(out, 'Nodes', exchange.nodes.length);
    uintField(out, 'UserStateLen', exchange.userState.length);
    for (const node of exchange.nodes) writePushNodeState(out, node);
    out.verbatim(exchange.userState);
  });
}

export function writePushNodeState(out: MsgpackWriter, node: PushNodeState): void {
  out.map(7);
  bytesField(out, 'Addr', node.address);
  uintField(out, 'Incarnation', node.incarnation);
  bytesField(out, 'Meta', node.meta);
  stringField(out, 'Name', node.name);
  uintField(out, 'Port', node.port);
  uintField(out, 'State', STATES.indexOf(node.state));
  bytesField(out, 'Vsn', Uint8Array.from(node.versions ?? []));
}

/** The exchange in a plain message; undefined when malformed. */
export function decodePushPull(bytes: Uint8Array): PushPull | undefined {
  return tryDecode(() => {
    const reader = expectType(bytes, MessageType.pushPull);
    const header = readPushPullHeader(reader);
    // A node takes at least one byte, so a larger claim cannot be true.
    if (header.nodes > reader.left) throw new DecodeError('more nodes than bytes');
    const nodes: PushNodeState[] = [];
    for (let i = 0; i < header.nodes; i++) nodes.push(readPushNodeState(reader));
    return { isJoin: header.isJoin, nodes, userState: reader.verbatim(header.userStateBytes) };
  });
}

/** @throws DecodeError */
export function readPushPullHeader(reader: MsgpackReader): PushPullHeader {
  let nodes = 0;
  let userStateBytes = 0;
  let isJoin = false;
  forEachField(reader, (key) => {
    if (key === 'Nodes') nodes = reader.uint(MAX_UINT32);
    else if (key === 'UserStateLen') userStateBytes = reader.uint(MAX_UINT32);
    else if (key === 'Join') isJoin = reader.bool();
    else reader.skip();
  });
  return { nodes, userStateBytes, isJoin };
}

/** @throws DecodeError */
export function readPushNodeState(reader: MsgpackReader): PushNodeState {
  let name = '';
  let address = NO_BYTES;
  let port = 0;
  let meta = NO_BYTES;
  let incarnation = 0;
  let state = 0;
  let versions = NO_BYTES;
  forEachField(reader, (key) => {
    switch (key) {
      case 'Name':
        name = reader.string();
        return;
      case 'Addr':
        address = ownBytes(reader.bytes());
        return;
      case 'Port':
        port = reader.uint(0xffff);
        return;
      case 'Meta':
        meta = ownBytes(reader.bytes());
        return;
      case 'Incarnation':
        incarnation = reader.uint(MAX_UINT32);
        return;
      case 'State':
        state = reader.uint(MAX_UINT32);
        return;
      case 'Vsn':
        versions = reader.bytes();
        return;
      default:
        reader.skip();
    }
  });
  const named = STATES[state];
  if (named === undefined) throw new DecodeError('unknown node state');
  return { name, address, port, meta, incarnation, state: named, versions: sixVersions(versions) };
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
