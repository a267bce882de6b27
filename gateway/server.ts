/** Process entry of `proconsul-gateway`: settings, log, signals. */

import { realEnv } from '../shared/env.ts';
import { createLogger, formatLogLine, isAtLeast, type LogLevel, type LogSink } from '../shared/log.ts';
import { describeSettings, type GatewaySettings, parseSettings, SettingsError } from './settings/settings.ts';
import { startGateway } from './start.ts';

/** Errors go to stderr, the rest to stdout. */
function consoleSink(threshold: LogLevel): LogSink {
  return {
    wants: (level) => isAtLeast(level, threshold),
    write: (record) => {
      const stream = isAtLeast(record.level, 'ERROR') ? process.stderr : process.stdout;
      stream.write(`    ${formatLogLine(record)}\n`);
    },
  };
}

/** Off, and not even loaded, unless a collector is configured. @returns what sends pending spans at the end */
async function startTraceExport({
  telemetryEndpoint,
  listen,
}: GatewaySettings): Promise<() => Promise<void>> {
  if (telemetryEndpoint === '') return async () => undefined;
  const { registerTraceExport } = await import('../shared/telemetry-export.ts');
  return registerTraceExport('proconsul-gateway', `${listen.host}:${listen.port}`);
}

/** @returns the exit status when the program ended before it ran, undefined while it runs */
async function main(args: readonly string[]): Promise<number | undefined> {
  if (args.some((arg) => /^--?h(elp)?$/.test(arg))) {
    process.stdout.write(`${describeSettings()}\n`);
    return 0;
  }
  const settings = parseSettings(process.env, args);
  const logger = createLogger('gateway', [consoleSink(settings.logLevel)], () => realEnv.clock.nowMs());
  const flushTraces = await startTraceExport(settings);
  const gateway = await startGateway({ settings, logger });
  const stop = (signal: string) => {
    logger.info('stopping', { signal });
    void gateway
      .stop()
      .then(flushTraces)
      .then(() => process.exit(0));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  // Without a listener Node would open its debugger.
  process.on('SIGUSR1', (signal) => logger.info('signal ignored; GET /metrics has the numbers', { signal }));
  return undefined;
}

try {
  const status = await main(process.argv.slice(2));
  if (status !== undefined) process.exitCode = status;
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`proconsul-gateway: ${message}\n`);
  process.exitCode = error instanceof SettingsError ? 2 : 1;
}
