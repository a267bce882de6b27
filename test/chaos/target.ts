/** Where the workload's requests go: to the gateway, or to servers at random. */

import { type Random, randomInt } from '../../shared/env.ts';
import type { Connections, Exchange, Outcome } from './exchange.ts';

export interface Target {
  /** Each request to the gateway, or to any server, alive or not. */
  send(exchange: Exchange): Promise<Outcome>;
  /** As `send`, to one server, counted round; to the gateway if that is the target. */
  sendTo(server: number, exchange: Exchange): Promise<Outcome>;
}

/** @param bases of the gateway alone, or of all servers */
export function targetOf(connections: Connections, bases: readonly string[], random: Random): Target {
  const baseOf = (index: number) => bases[index % bases.length] ?? '';
  return {
    send: (exchange) => connections.send(baseOf(randomInt(random, bases.length)), exchange),
    sendTo: (server, exchange) => connections.send(baseOf(server), exchange),
  };
}
