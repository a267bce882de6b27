/** Sessions: creating them, ending them with the locks they hold, and reading them. */

import type { Session } from '../../shared/types/v1.ts';
import { compoundKey, keysUnder, nameKey } from './byte-text.ts';
import type { Change } from './change.ts';
import { MISSING_NODE, Refusal } from './change.ts';
import { own } from './interning.ts';
import { delayLock, deleteKey, lockedKeys, releaseKey } from './kv.ts';
import { deleteQueriesOfSession } from './prepared-queries.ts';
import type { SessionRecord } from './records.ts';
import { raiseTable, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

/** A session before it has indexes; its ID was chosen by the proposer. */
export type NewSession = Omit<Session, 'CreateIndex' | 'ModifyIndex'>;

/** The longest time that keys of an ended session stay locked out. */
const LONGEST_LOCK_DELAY_MS = 60_000;

const UUID_LENGTH = 36;

/** @throws Refusal when its node or a check is missing or critical */
export function createSession(change: Change, created: NewSession): void {
  const { tables, index } = change;
  const nodeKey = nameKey(created.Node);
  if (tables.nodes.get(nodeKey) === undefined) throw new Refusal(MISSING_NODE);
  for (const checkId of checkIdsOf(created)) {
    const check = tables.checks.get(compoundKey(nodeKey, nameKey(checkId)));
    if (check === undefined) throw new Refusal(`Missing check '${checkId}' registration`);
    if (check.Status === 'critical') throw new Refusal(`Check '${checkId}' is in critical state`);
  }
  storeSession(tables, sessionRecord(created, index));
  raiseTable(tables, 'sessions', index);
  touchSession(change, created);
}

/** Ends a session if there is one: frees or deletes what it had locked, deletes the queries bound to it. */
export function endSession(change: Change, id: string): void {
  const { tables, index } = change;
  const key = id.toLowerCase();
  const session = tables.sessions.delete(key);
  if (session === undefined) return;
  const nodeKey = nameKey(session.Node);
  tables.sessionsByNode.delete(compoundKey(nodeKey, key));
  for (const checkId of checkIdsOf(session)) {
    tables.sessionsByCheck.delete(compoundKey(nodeKey, nameKey(checkId), key));
  }
  raiseTable(tables, 'sessions', index);
  touchSession(change, session);
  freeLocks(change, session);
  deleteQueriesOfSession(change, session.ID);
}

/** A check went critical or away: ends all sessions that depend on it. */
export function endSessionsOfCheck(change: Change, nodeKey: string, checkId: string): void {
  const ids: string[] = [];
  const { from, to } = keysUnder(nodeKey, nameKey(checkId));
  change.tables.sessionsByCheck.scan(from, to, (session) => {
    ids.push(session.ID);
    return true;
  });
  for (const id of ids) endSession(change, id);
}

/** Puts a session into its table and indexes. */
export function storeSession(tables: Tables, session: SessionRecord): void {
  const key = session.ID.toLowerCase();
  const nodeKey = nameKey(session.Node);
  tables.sessions.set(key, session);
  tables.sessionsByNode.set(compoundKey(nodeKey, key), session);
  for (const checkId of checkIdsOf(session)) {
    tables.sessionsByCheck.set(compoundKey(nodeKey, nameKey(checkId), key), session);
  }
}

/** @throws Refusal when the ID has another length than a UUID */
export function findSession(tables: Tables, id: string): SessionRecord | undefined {
  if (id.length !== UUID_LENGTH) {
    throw new Refusal('failed session lookup: index error: UUID must be 36 characters');
  }
  return tables.sessions.get(id.toLowerCase());
}

/** @throws Refusal as `findSession` */
export function sessionById(tables: Tables, id: string): Answer<Session[]> {
  const session = findSession(tables, id);
  return sessionsAnswer(session === undefined ? [] : [session], topic.session(id));
}

/** All sessions, ordered by ID. */
export function allSessions(tables: Tables): Answer<Session[]> {
  const found: Session[] = [];
  tables.sessions.scan('', undefined, (session) => {
    found.push(session);
    return true;
  });
  return sessionsAnswer(found, topic.sessions);
}

/** Sessions of a node, ordered by ID. */
export function sessionsOfNode(tables: Tables, node: string): Answer<Session[]> {
  const found: Session[] = [];
  const { from, to } = keysUnder(nameKey(node));
  tables.sessionsByNode.scan(from, to, (session) => {
    found.push(session);
    return true;
  });
  return sessionsAnswer(found, topic.nodeSessions(node));
}

function sessionsAnswer(value: Session[], watched: string): Answer<Session[]> {
  return { value, indexOf: (now) => tableIndex(now, 'sessions'), topics: [watched] };
}

function freeLocks(change: Change, session: SessionRecord): void {
  const delayMs = Math.min(session.LockDelay / 1e6, LONGEST_LOCK_DELAY_MS);
  for (const record of lockedKeys(change.tables, session.ID)) {
    if (session.Behavior === 'delete') deleteKey(change, record.key);
    else releaseKey(change, record);
    if (delayMs > 0) delayLock(change, record.key, delayMs);
  }
}

function touchSession({ watches }: Change, session: NewSession): void {
  watches.touch(topic.sessions);
  watches.touch(topic.session(session.ID));
  watches.touch(topic.nodeSessions(session.Node));
}

function sessionRecord(created: NewSession, index: number): SessionRecord {
  return {
    ID: own(created.ID),
    Name: own(created.Name),
    Node: own(created.Node),
    LockDelay: created.LockDelay,
    Behavior: own(created.Behavior),
    TTL: own(created.TTL),
    NodeChecks: created.NodeChecks?.map(own) ?? null,
    ServiceChecks:
      created.ServiceChecks?.map((check) => ({ ID: own(check.ID), Namespace: own(check.Namespace) })) ?? null,
    ...(created.Checks === undefined ? {} : { Checks: created.Checks.map(own) }),
    CreateIndex: index,
    ModifyIndex: index,
  };
}

/** In the order in which Consul looks at them. */
function checkIdsOf(session: NewSession): string[] {
  return [
    ...(session.Checks ?? []),
    ...(session.NodeChecks ?? []),
    ...(session.ServiceChecks ?? []).map((check) => check.ID),
  ];
}
