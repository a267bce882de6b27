/** The way of one request through the server: decode, clean, route, refuse or handle, answer, log. */

import { ConsulError, toConsulError } from '../../shared/errors.ts';
import { traced } from '../../shared/telemetry.ts';
import { type AccessRules, accessRules } from './access.ts';
import { apiCounters, countOutcome } from './api-counters.ts';
import type { Incoming, Outgoing } from './message.ts';
import type { HttpConfig, HttpDependencies } from './options.ts';
import { QuerySyntaxError } from './query-string.ts';
import { errorReply, isStream, NOT_FOUND, type Reply, type StreamReply, textReply } from './reply.ts';
import { findHeader, type HttpContext, HttpRequest } from './request.ts';
import { logFailed, logFinished, maskedUrl } from './request-log.ts';
import { requestTimers } from './request-timers.ts';
import { redirectReply, sendReply, sendStream } from './respond.ts';
import type { CompiledRoute, Router } from './router.ts';
import { unroutedReply } from './ui.ts';
import { cleanPath, escapePath, parseTarget, type RequestTarget } from './url-path.ts';

const NO_HEADERS: readonly string[] = [];
const EMPTY_FAILURE: Reply = { status: 500, headers: NO_HEADERS, body: '' };
const UNPRINTABLE: Reply = { status: 400, headers: NO_HEADERS, body: '' };
/** What Go's server says before any handler sees the request. */
const BAD_REQUEST: Reply = { ...textReply(400, '400 Bad Request'), closes: true };

/** Everything that requests need while one configuration holds. */
export interface Dispatcher {
  dispatch(incoming: Incoming, response: Outgoing): void;
}

/** @throws Error when a setting cannot be used, such as a malformed CIDR block */
export function createDispatcher(
  router: Router,
  dependencies: HttpDependencies,
  config: HttpConfig,
  lifetime: Pick<HttpContext, 'waits' | 'cache'>,
): Dispatcher {
  const context: HttpContext = { dependencies, config, ...lifetime };
  const rules = accessRules(config);
  const { log, env, metrics } = dependencies;
  const requestTimer = metrics === undefined ? () => undefined : requestTimers(metrics);
  const countersOf = metrics === undefined ? () => undefined : apiCounters(metrics, config.nodeName);

  function dispatch(incoming: Incoming, response: Outgoing): void {
    const target = parseTarget(incoming.url ?? '/');
    const early = target === undefined ? BAD_REQUEST : replyBeforeRouting(incoming, target);
    if (target === undefined || early !== undefined) {
      sendReply(incoming, response, early ?? BAD_REQUEST, NO_HEADERS, false);
      return;
    }
    const match = router.match(target.path);
    if (match === undefined || match === 'add-slash') {
      const method = incoming.method ?? 'GET';
      const reply =
        match === undefined
          ? unroutedReply(method, target.path, config, findHeader(incoming, 'if-none-match'))
          : redirectReply(method, withQuery(`${escapePath(target.path)}/`, target.rawQuery));
      sendReply(incoming, response, reply, NO_HEADERS, false);
      return;
    }
    serve(incoming, response, target, match);
  }

  function replyBeforeRouting(incoming: Incoming, target: RequestTarget): Reply | undefined {
    if (!target.isPrintable && !config.disableHttpUnprintableCharFilter) return UNPRINTABLE;
    if (!target.path.startsWith('/')) return NOT_FOUND;
    if (!target.mayBeUnclean) return undefined;
    const clean = cleanPath(target.path);
    if (clean === target.path) return undefined;
    const slash = router.match(clean) === 'add-slash' ? '/' : '';
    return redirectReply(incoming.method ?? 'GET', withQuery(escapePath(clean) + slash, target.rawQuery));
  }

  function serve(incoming: Incoming, response: Outgoing, target: RequestTarget, match: CompiledRoute): void {
    const isLogged = log.isEnabled('DEBUG');
    const timer = requestTimer(incoming.method ?? 'GET', match);
    const counters = countersOf(match, incoming.method ?? 'GET');
    counters?.calls.add();
    const startedMs = isLogged || timer !== undefined ? env.clock.monotonicMs() : 0;
    const request = new HttpRequest(incoming, response, target.path, target.rawQuery, context);
    const answer = (reply: Reply | StreamReply): void => {
      const isGone = response.destroyed;
      if (counters !== undefined) countOutcome(counters, reply);
      try {
        if (isStream(reply)) sendStream(response, reply, rules.headers);
        else sendReply(incoming, response, closingWhenDone(reply), rules.headers, true);
      } catch (error) {
        // Such as a configured header that HTTP does not allow: this request ends, the agent goes on.
        logFailed(log, incoming, toConsulError(error));
        response.destroy();
      }
      if (!isStream(reply) && reply.error !== undefined && !isGone) logFailed(log, incoming, reply.error);
      if (!isLogged && timer === undefined) return;
      const tookMs = env.clock.monotonicMs() - startedMs;
      timer?.add(tookMs);
      if (isLogged) logFinished(log, incoming, tookMs);
    };
    try {
      const reply = config.isTracing ? tracedHandle(request, match, rules) : handle(request, match, rules);
      if (reply instanceof Promise) reply.then(answer, (error: unknown) => answer(failureReply(error)));
      else answer(reply);
    } catch (error) {
      answer(failureReply(error));
    }
  }

  /** While the server closes, no connection is kept for a next request. */
  function closingWhenDone(reply: Reply): Reply {
    return lifetime.waits.isClosing ? { ...reply, closes: true } : reply;
  }

  return { dispatch };
}

/** The steps before the handler, in Consul's order (reference: per-request order). */
function handle(
  request: HttpRequest,
  match: CompiledRoute,
  rules: AccessRules,
): Reply | StreamReply | Promise<Reply | StreamReply> {
  if (request.rawQuery !== '') request.query;
  if (rules.isBlocked(request.path))
    throw new ConsulError('permission-denied', 403, 'Endpoint is blocked by agent configuration');
  const { method } = request;
  const asksHandler = match.answersMethods === true;
  if (method === 'OPTIONS' && !asksHandler) return { status: 200, headers: ['Allow', match.allow], body: '' };
  if (!asksHandler && !(match.methods as readonly string[]).includes(method)) {
    const error = new ConsulError('method-not-allowed', 405, `method ${method} not allowed`);
    return errorReply(error, ['Allow', match.allow]);
  }
  const isWrite = method !== 'GET' && method !== 'OPTIONS' && method !== 'HEAD';
  if (isWrite && !rules.mayWrite(request.remoteAddress))
    throw new ConsulError('permission-denied', 403, 'Access is restricted');
  return match.handler(request);
}

function tracedHandle(
  request: HttpRequest,
  match: CompiledRoute,
  rules: AccessRules,
): Promise<Reply | StreamReply> {
  const attributes = {
    'http.request.method': request.method,
    'http.route': match.path,
    'url.path': maskedUrl(request.path),
  };
  const work = async () => handle(request, match, rules);
  return traced(`${request.method} ${match.path}`, 'server', attributes, work, request.header('traceparent'));
}

function failureReply(error: unknown): Reply {
  return error instanceof QuerySyntaxError ? EMPTY_FAILURE : errorReply(error);
}

function withQuery(path: string, rawQuery: string): string {
  return rawQuery === '' ? path : `${path}?${rawQuery}`;
}
