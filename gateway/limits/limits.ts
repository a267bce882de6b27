/** Rate limits for each token and each address: who has sent too much gets 429 and the time after which to come again. */

import type { Clock } from '../../shared/env.ts';
import { type Answer, type Exchange, textAnswer } from '../exchange/exchange.ts';
import type { AddressBlocks } from './address-blocks.ts';
import { addressKey, addressOf, tokenOf } from './caller.ts';
import { createLimiter, type Limiter, type SharedBuckets } from './limiter.ts';
import type { RateLimit } from './token-bucket.ts';

export interface RateLimits {
  /** Counts a request at its arrival. @returns the refusal, or undefined when it may go on */
  check(exchange: Exchange): Answer | undefined | Promise<Answer | undefined>;
}

export type LimitedBy = 'token' | 'address';

export interface RateLimitsOptions {
  readonly perToken: RateLimit | undefined;
  readonly perAddress: RateLimit | undefined;
  readonly trustedProxies: AddressBlocks;
  readonly shared: SharedBuckets | undefined;
  readonly clock: Clock;
  readonly onRefused: (by: LimitedBy) => void;
}

/** @returns undefined when nothing is limited */
export function createRateLimits(options: RateLimitsOptions): RateLimits | undefined {
  const { perToken, perAddress, shared, clock, trustedProxies, onRefused } = options;
  if (perToken === undefined && perAddress === undefined) return undefined;
  const tokens = perToken === undefined ? undefined : createLimiter(perToken, shared, clock);
  const addresses = perAddress === undefined ? undefined : createLimiter(perAddress, shared, clock);

  const refuse = (by: LimitedBy, limit: RateLimit | undefined, waitMs: number): Answer | undefined => {
    if (waitMs === 0 || limit === undefined) return undefined;
    onRefused(by);
    return refusal(by, limit, waitMs);
  };
  /** Anonymous requests are limited by their address alone. */
  const checkToken = ({ target, headers }: Exchange): Answer | undefined | Promise<Answer | undefined> => {
    const token = tokens === undefined ? '' : tokenOf(target, headers);
    if (tokens === undefined || token === '') return undefined;
    return then(tokens.admit(`token:${token}`), (waitMs) => refuse('token', perToken, waitMs));
  };
  return {
    check: (exchange) => {
      if (addresses === undefined) return checkToken(exchange);
      const { clientAddress, headers } = exchange;
      const key = `address:${addressKey(addressOf(clientAddress, headers, trustedProxies))}`;
      return then(admit(addresses, key), (waitMs) => {
        return refuse('address', perAddress, waitMs) ?? checkToken(exchange);
      });
    },
  };
}

const admit = (limiter: Limiter, key: string): number | Promise<number> => limiter.admit(key);

/** Most requests are decided at once and must not wait for a turn of the event loop. */
function then<T>(value: number | Promise<number>, next: (value: number) => T | Promise<T>): T | Promise<T> {
  return typeof value === 'number' ? next(value) : value.then(next);
}

const SAID: Readonly<Record<LimitedBy, string>> = {
  token: 'with this ACL token',
  address: 'from this address',
};

function refusal(by: LimitedBy, { perSecond, burst }: RateLimit, waitMs: number): Answer {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  const text = `Too many requests ${SAID[by]}: this gateway allows ${perSecond} per second, ${burst} at once. Try again in ${seconds} s.`;
  const answer = textAnswer(429, text);
  return { ...answer, headers: [...answer.headers, 'Retry-After', String(seconds)] };
}
