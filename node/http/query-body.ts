/** The body of a prepared query. */

import type { PreparedQueryDefinition } from '../../shared/types/prepared-query.ts';
import { bool, type Decoded, int, listOf, mapOf, struct, text, uint64 } from './go-json.ts';

export const queryBody = struct({
  ID: text,
  Name: text,
  Session: text,
  Token: text,
  Template: struct({ Type: text, Regexp: text, RemoveEmptyTags: bool }),
  Service: struct({
    Service: text,
    Failover: struct({ NearestN: int, Datacenters: listOf(text) }),
    OnlyPassing: bool,
    IgnoreCheckIDs: listOf(text),
    Near: text,
    Tags: listOf(text),
    NodeMeta: mapOf(text),
    ServiceMeta: mapOf(text),
    Connect: bool,
  }),
  DNS: struct({ TTL: text }),
  CreateIndex: uint64,
  ModifyIndex: uint64,
});

/** @param id replaces the body's when given */
export function toQueryDefinition(body: Decoded<typeof queryBody>, id = body.ID): PreparedQueryDefinition {
  const { Name, Session, Token, Template, Service, DNS } = body;
  return { ID: id, Name, Session, Token, Template, Service, DNS };
}
