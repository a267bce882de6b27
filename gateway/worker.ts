/** Runs the gateway on Cloudflare Workers: `fetch` towards the agents, settings from bindings, nothing kept between requests but memory. */

import { realEnv } from '../shared/env.ts';
import { createLogger, formatLogLine, isAtLeast, type LogLevel, type LogSink } from '../shared/log.ts';
import { createGateway, type Gateway } from './app.ts';
import { createMemoryState } from './cache/shared-state.ts';
import { textAnswer } from './exchange/exchange.ts';
import { openWebExchange, toResponse } from './exchange/web-exchange.ts';
import { parseSettings, SettingsError } from './settings/settings.ts';
import { createFetchTransport } from './upstream/fetch-transport.ts';

/** Variables of wrangler.toml, the same names as on Node. */
type Bindings = Readonly<Record<string, string | undefined>>;

/** A connection without traffic may be cut after about 100 s; legs stay well below that. */
const DEFAULT_LEG = '25s';
const MEMORY_STATE_BYTES = 16 * 1024 * 1024;

let gateway: Gateway | undefined;

/** Settings are the same for every request of an isolate, so the first one builds the app. */
function gatewayFor(bindings: Bindings): Gateway {
  gateway ??= build(bindings);
  return gateway;
}

function build(bindings: Bindings): Gateway {
  const { clock } = realEnv;
  const settings = { ...parseSettings({ GATEWAY_LEG: DEFAULT_LEG, ...bindings }), collapse: false };
  return createGateway({
    settings,
    transport: createFetchTransport({ answerLimitBytes: settings.answerLimitBytes, clock }),
    sharedState: createMemoryState(MEMORY_STATE_BYTES, () => clock.monotonicMs()),
    openExchange: openWebExchange,
    accessLines: consoleLine,
    // A request on Workers must not wait for I/O that another request began.
    sharesWork: false,
    env: realEnv,
    logger: createLogger('gateway', [consoleSink(settings.logLevel)], () => clock.nowMs()),
  });
}

function consoleLine(line: string): void {
  // biome-ignore lint/suspicious/noConsole: the console is the log on Workers.
  console.log(line.trimEnd());
}

function consoleSink(threshold: LogLevel): LogSink {
  return {
    wants: (level) => isAtLeast(level, threshold),
    write: (record) => {
      // biome-ignore lint/suspicious/noConsole: the console is the log on Workers.
      (isAtLeast(record.level, 'ERROR') ? console.error : console.log)(formatLogLine(record));
    },
  };
}

export default {
  fetch: (request: Request, bindings: Bindings): Response | Promise<Response> => {
    try {
      return gatewayFor(bindings).app.fetch(request, bindings);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      return toResponse(textAnswer(500, `The gateway is not configured. ${error.message}`), request.method);
    }
  },
};
