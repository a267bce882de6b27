/**
 * A named operation as callers see it: name, kind, argument and result types. HTTP, DNS, client agents and other
 * datacenters all call the same ones; `server/handlers` says how a server answers.
 */

declare const types: unique symbol;

export interface ReadEndpoint<Args, Result> {
  readonly kind: 'read';
  /** Consul's name, `Health.ServiceNodes`. Unique; travels over RPC. */
  readonly name: string;
  readonly [types]?: { args: Args; result: Result };
}

export interface WriteEndpoint<Args, Result> {
  readonly kind: 'write';
  readonly name: string;
  readonly [types]?: { args: Args; result: Result };
}

export function readEndpoint<Args, Result>(name: string): ReadEndpoint<Args, Result> {
  return { kind: 'read', name };
}

export function writeEndpoint<Args, Result>(name: string): WriteEndpoint<Args, Result> {
  return { kind: 'write', name };
}
