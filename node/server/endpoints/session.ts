/** `Session.*`, except renewal, which is the leader's own affair. */

import {
  DurationSyntaxError,
  formatDurationMs,
  NS_PER_MS,
  parseDurationNs,
} from '../../../shared/durations.ts';
import { randomUuid } from '../../../shared/env.ts';
import { refused } from '../../../shared/errors.ts';
import type { SessionCreateArgs } from '../../rpc/endpoints.ts';
import {
  sessionCreate,
  sessionDestroy,
  sessionGet,
  sessionList,
  sessionNodeSessions,
} from '../../rpc/endpoints.ts';
import { Refusal } from '../../state/change.ts';
import type { NewSession } from '../../state/sessions.ts';
import { allSessions, findSession, sessionById, sessionsOfNode } from '../../state/sessions.ts';
import type { Tables } from '../../state/tables.ts';
import { destroySessionCommand } from '../commands.ts';
import type { HandlerContext } from '../handlers.ts';
import { alwaysTrue, readFromTables, writeByCommand } from './define.ts';

const LONGEST_TTL_MS = 24 * 3600_000;

export const getHandler = readFromTables(sessionGet, (tables, args) => sessionById(tables, args.id));

export const listHandler = readFromTables(sessionList, (tables) => allSessions(tables));

export const nodeSessionsHandler = readFromTables(sessionNodeSessions, (tables, args) =>
  sessionsOfNode(tables, args.node),
);

export const createHandler = writeByCommand(
  sessionCreate,
  (args, context, tables) => ({ type: 'session-create', session: newSession(args, context, tables) }),
  (applied) => {
    if (typeof applied !== 'string') throw new Error('session-create was applied without an ID');
    return applied;
  },
);

export const destroyHandler = writeByCommand(
  sessionDestroy,
  (args, context, tables) => {
    if (args.id === '') throw refused('Must provide ID');
    checkedLookup(tables, args.id);
    return destroySessionCommand(args.id, context.env.clock.nowMs());
  },
  alwaysTrue,
);

/** The session to log, with an ID that no other has. @throws ConsulError in Consul's words and order */
function newSession(args: SessionCreateArgs, context: HandlerContext, tables: Tables): NewSession {
  if (args.node === '') throw refused('Must provide Node');
  const behavior = args.behavior === '' ? 'release' : args.behavior;
  if (behavior !== 'release' && behavior !== 'delete') {
    throw refused(`Invalid Behavior setting '${args.behavior}'`);
  }
  if (args.ttl !== '') checkTtl(args.ttl, context.sessionTtlMinMs);
  let id = randomUuid(context.env.random);
  while (tables.sessions.get(id) !== undefined) id = randomUuid(context.env.random);
  return {
    ID: id,
    Name: args.name,
    Node: args.node,
    LockDelay: args.lockDelayNs,
    Behavior: behavior,
    TTL: args.ttl,
    NodeChecks: args.nodeChecks === null ? null : [...args.nodeChecks],
    ServiceChecks: args.serviceChecks === null ? null : args.serviceChecks.map((check) => ({ ...check })),
    ...(args.checks === undefined ? {} : { Checks: [...args.checks] }),
  };
}

function checkTtl(text: string, shortestMs: number): void {
  let ttlNs: number;
  try {
    ttlNs = parseDurationNs(text);
  } catch (thrown) {
    if (thrown instanceof DurationSyntaxError) {
      throw refused(`Session TTL '${text}' invalid: ${thrown.message}`);
    }
    throw thrown;
  }
  // A TTL of zero is no TTL.
  if (ttlNs === 0) return;
  if (ttlNs < shortestMs * NS_PER_MS || ttlNs > LONGEST_TTL_MS * NS_PER_MS) {
    const bounds = `[${formatDurationMs(shortestMs)}=${formatDurationMs(LONGEST_TTL_MS)}]`;
    throw refused(`Invalid Session TTL '${ttlNs}', must be between ${bounds}`);
  }
}

function checkedLookup(tables: Tables, id: string): void {
  try {
    findSession(tables, id);
  } catch (thrown) {
    if (thrown instanceof Refusal) throw refused(thrown.message);
    throw thrown;
  }
}
