/** Prepared queries: storing them, finding what a name stands for, and what they find in the catalog. */

import type { PreparedQuery, PreparedQueryDefinition } from '../../shared/types/prepared-query.ts';
import { byteText, compoundKey, keysUnder, nameKey } from './byte-text.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import { own, ownData, ownMap } from './interning.ts';
import type { RenderTemplate } from './query-template.ts';
import { compileTemplate, renderedQuery } from './query-template.ts';
import { raiseTable, tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

export interface PreparedQueryRecord {
  readonly query: PreparedQuery;
  /** undefined: it is no template. */
  readonly render: RenderTemplate | undefined;
}

const UUID_LENGTH = 36;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Creates or replaces a query. @throws Refusal when its name is taken, its session unknown or its template bad */
export function setQuery(change: Change, definition: PreparedQueryDefinition): void {
  const { tables, index } = change;
  const key = definition.ID.toLowerCase();
  refuseAlias(tables, definition, key);
  refuseUnknownSession(tables, definition.Session);
  const existing = tables.preparedQueries.get(key);
  const record = recordOf({
    ...definition,
    CreateIndex: existing?.query.CreateIndex ?? index,
    ModifyIndex: index,
  });
  if (existing !== undefined) unindex(tables, existing.query);
  storeQuery(tables, record);
  touchQuery(change, key);
}

/** Removes a query if it is there. */
export function deleteQuery(change: Change, id: string): void {
  const { tables } = change;
  const key = id.toLowerCase();
  const record = tables.preparedQueries.delete(key);
  if (record === undefined) return;
  unindex(tables, record.query);
  touchQuery(change, key);
}

/** The session has ended: so have the queries that are bound to it. */
export function deleteQueriesOfSession(change: Change, session: string): void {
  const ids: string[] = [];
  const { from, to } = keysUnder(session.toLowerCase());
  change.tables.preparedQueriesBySession.scan(from, to, ({ query }) => {
    ids.push(query.ID);
    return true;
  });
  for (const id of ids) deleteQuery(change, id);
}

/** Puts a query into its table and indexes. */
export function storeQuery(tables: Tables, record: PreparedQueryRecord): void {
  const { query } = record;
  const key = query.ID.toLowerCase();
  tables.preparedQueries.set(key, record);
  if (query.Name !== '') tables.preparedQueriesByName.set(nameKey(query.Name), record);
  if (record.render !== undefined) tables.preparedQueryTemplates.set(nameKey(query.Name), record);
  if (query.Session !== '') {
    tables.preparedQueriesBySession.set(compoundKey(query.Session.toLowerCase(), key), record);
  }
}

/** A query in memory of its own, its template compiled. @throws Refusal when the template is bad */
export function recordOf(query: PreparedQuery): PreparedQueryRecord {
  const { Template: template, Service: service } = query;
  const owned: PreparedQuery = {
    ID: own(query.ID),
    Name: own(query.Name),
    Session: own(query.Session),
    Token: own(query.Token),
    Template: {
      Type: own(template.Type),
      Regexp: own(template.Regexp),
      RemoveEmptyTags: template.RemoveEmptyTags,
    },
    Service: {
      Service: own(service.Service),
      Failover: {
        NearestN: service.Failover.NearestN,
        Datacenters: ownData(service.Failover.Datacenters),
      },
      OnlyPassing: service.OnlyPassing,
      IgnoreCheckIDs: ownData(service.IgnoreCheckIDs),
      Near: own(service.Near),
      Tags: ownData(service.Tags),
      NodeMeta: ownMap(service.NodeMeta),
      ServiceMeta: ownMap(service.ServiceMeta),
      Connect: service.Connect,
    },
    DNS: { TTL: own(query.DNS.TTL) },
    CreateIndex: query.CreateIndex,
    ModifyIndex: query.ModifyIndex,
  };
  return { query: owned, render: isTemplate(owned) ? compiled(owned) : undefined };
}

function compiled(query: PreparedQuery): RenderTemplate {
  try {
    return compileTemplate(query);
  } catch (thrown) {
    if (thrown instanceof Refusal) throw new Refusal(`failed compiling template: ${thrown.message}`);
    throw thrown;
  }
}

function isTemplate(query: PreparedQueryDefinition): boolean {
  return query.Template.Type !== '';
}

/** Names may not lead to another query than the one that they are of, nor look like its ID. */
function refuseAlias(tables: Tables, definition: PreparedQueryDefinition, key: string): void {
  const { Name: name } = definition;
  const isOther = (record: PreparedQueryRecord | undefined) =>
    record !== undefined && record.query.ID.toLowerCase() !== key;
  if (name === '') {
    if (isTemplate(definition) && isOther(tables.preparedQueryTemplates.get(''))) {
      throw new Refusal('a query template with an empty name already exists');
    }
    return;
  }
  if (isOther(tables.preparedQueriesByName.get(nameKey(name)))) {
    throw new Refusal(`name '${name}' aliases an existing query name`);
  }
  if (UUID.test(name) && tables.preparedQueries.get(name.toLowerCase()) !== undefined) {
    throw new Refusal(`name '${name}' aliases an existing query ID`);
  }
}

function refuseUnknownSession(tables: Tables, session: string): void {
  if (session === '') return;
  if (session.length !== UUID_LENGTH) {
    throw new Refusal('invalid session: index error: UUID must be 36 characters');
  }
  if (tables.sessions.get(session.toLowerCase()) === undefined) {
    throw new Refusal(`invalid session ${JSON.stringify(session)}`);
  }
}

function unindex(tables: Tables, query: PreparedQuery): void {
  const key = query.ID.toLowerCase();
  if (query.Name !== '') tables.preparedQueriesByName.delete(nameKey(query.Name));
  if (isTemplate(query)) tables.preparedQueryTemplates.delete(nameKey(query.Name));
  if (query.Session !== '') {
    tables.preparedQueriesBySession.delete(compoundKey(query.Session.toLowerCase(), key));
  }
}

function touchQuery({ tables, watches, index }: Change, key: string): void {
  raiseTable(tables, 'prepared-queries', index);
  watches.touch(topic.queries);
  watches.touch(topic.query(key));
}

/** @throws Refusal when the ID has another length than a UUID */
export function findQuery(tables: Tables, id: string): PreparedQuery | undefined {
  if (id.length !== UUID_LENGTH) {
    throw new Refusal('failed prepared query lookup: index error: UUID must be 36 characters');
  }
  return tables.preparedQueries.get(id.toLowerCase())?.query;
}

/** All queries, ordered by ID. */
export function allQueries(tables: Tables): Answer<PreparedQuery[]> {
  const value: PreparedQuery[] = [];
  tables.preparedQueries.scan('', undefined, ({ query }) => {
    value.push(query);
    return true;
  });
  return { value, indexOf: queriesIndex, topics: [topic.queries], weightBytes: 8 * value.length };
}

export function queriesIndex(tables: Tables): number {
  return tableIndex(tables, 'prepared-queries');
}

/**
 * The query that a name or ID stands for, filled in if it is a template: by ID, else by exact name, else the template
 * with the longest name that the text begins with.
 *
 * @throws Refusal when it is the ID of a template
 */
export function resolveQuery(tables: Tables, nameOrId: string): PreparedQuery | undefined {
  if (nameOrId === '') return undefined;
  const byId = UUID.test(nameOrId) ? tables.preparedQueries.get(nameOrId.toLowerCase()) : undefined;
  if (byId?.render !== undefined) {
    throw new Refusal('prepared query templates can only be resolved up by name, not by ID');
  }
  if (byId !== undefined) return byId.query;
  const found = tables.preparedQueriesByName.get(nameKey(nameOrId)) ?? longestTemplate(tables, nameOrId);
  if (found?.render === undefined) return found?.query;
  return renderedQuery(found.query, found.render, nameOrId);
}

function longestTemplate(tables: Tables, name: string): PreparedQueryRecord | undefined {
  const text = byteText(name.toLowerCase());
  let longest: PreparedQueryRecord | undefined;
  let length = -1;
  tables.preparedQueryTemplates.scan('', undefined, (record) => {
    const prefix = byteText(record.query.Name.toLowerCase());
    if (prefix.length > length && text.startsWith(prefix)) {
      longest = record;
      length = prefix.length;
    }
    return true;
  });
  return longest;
}
