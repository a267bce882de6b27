/** `agent`: runs the agent in the foreground until a signal, a leave, or a failure ends it. */

import { unlinkSync, writeFileSync } from 'node:fs';
import { realEnv } from '../../../shared/env.ts';
import { createLogger, type Logger, type LogSink } from '../../../shared/log.ts';
import { type Agent, createAgent } from '../../agent/agent.ts';
import { startBanner } from '../../agent/banner.ts';
import { createConsoleSink } from '../../agent/logging/console-sink.ts';
import { createFileSink } from '../../agent/logging/file-sink.ts';
import { createMonitorSink } from '../../agent/logging/monitor-sink.ts';
import { boundYoungGeneration } from '../../agent/young-generation.ts';
import { AGENT_FLAGS } from '../../config/agent-flags.ts';
import { buildConfig, realHostFacts } from '../../config/build.ts';
import type { Config } from '../../config/config.ts';
import { locationLines } from '../../config/config-error.ts';
import type { ParsedFlags } from '../../config/flags.ts';
import { loadConfig } from '../../config/load.ts';
import type { CliIo, Command } from '../command.ts';
import { messageOf } from '../flag-access.ts';
import { PRODUCT_VERSION } from '../product-version.ts';
import { type RunningWatches, startWatches } from './watch/configured.ts';

/** A graceful leave that takes longer is given up, as is one that a second signal interrupts. */
const GRACEFUL_TIMEOUT_MS = 15_000;

export const agentCommand: Command = {
  kind: 'command',
  synopsis: 'Runs a Consul agent',
  usage: 'Usage: consul agent [options]\n\n  Starts the agent and runs until an interrupt is received.',
  flags: AGENT_FLAGS,
  async run(flags, io) {
    let config: Config;
    try {
      config = readConfig(flags);
    } catch (error) {
      io.err(`==> ${messageOf(error)}\n${locationLines(error)}`);
      return 1;
    }
    return runAgent(config, flags, io);
  },
};

function readConfig(flags: ParsedFlags): Config {
  return buildConfig(loadConfig(flags), realHostFacts());
}

async function runAgent(config: Config, flags: ParsedFlags, io: CliIo): Promise<number> {
  boundYoungGeneration();
  const logging = openLogging(config);
  if (typeof logging === 'string') {
    io.err(`==> ${logging}\n`);
    return 1;
  }
  const { log, consoleSink, monitor, applyLogLevel } = logging;
  const exit = Promise.withResolvers<number>();
  const flushTraces = await startTraceExport(config, io);
  const stopping = createStopper(log, exit.resolve);
  let watches: RunningWatches | undefined;
  let agent: Agent;
  try {
    agent = createAgent({
      config,
      env: realEnv,
      log,
      monitor,
      reloadConfig: () => readConfig(flags),
      onReloaded(next) {
        applyLogLevel(next);
        watches?.replace(next);
      },
      onFatal(error) {
        log.error('Error in agent', { error: error.message });
        void stopping.now(1);
      },
      onLeaveRequested: () => void stopping.gracefully(),
    });
  } catch (error) {
    io.err(`==> ${messageOf(error)}\n`);
    return 1;
  }
  stopping.watch(agent, config);
  if (!config.log.json) io.out(startBanner(config, agent.nodeId));
  consoleSink.open();
  log.info('Proconsul', { version: PRODUCT_VERSION });
  for (const warning of config.warnings) log.warn(warning);
  writePidFile(config, log);
  try {
    await agent.start();
    watches = startWatches(config, io, log);
    if (!config.log.json) io.out('==> Consul agent running!\n');
  } catch (error) {
    log.error('Error starting agent', { error: messageOf(error) });
    void stopping.now(1);
  }
  const code = await exit.promise;
  watches?.stop();
  await flushTraces();
  log.info('Exit code', { code });
  if (config.pidFile !== '') removePidFile(config.pidFile);
  return code;
}

interface Logging {
  readonly log: Logger;
  readonly consoleSink: ReturnType<typeof createConsoleSink>;
  readonly monitor: ReturnType<typeof createMonitorSink>;
  readonly applyLogLevel: (config: Config) => void;
}

/** @returns the error text when the log file cannot be opened */
function openLogging(config: Config): Logging | string {
  const { clock } = realEnv;
  const offsetMinutes = -new Date(clock.nowMs()).getTimezoneOffset();
  const style = { level: config.log.level, json: config.log.json, offsetMinutes };
  const consoleSink = createConsoleSink(process.stdout, style);
  const monitor = createMonitorSink();
  const sinks: LogSink[] = [consoleSink, monitor];
  let fileSink: ReturnType<typeof createFileSink> | undefined;
  if (config.log.file !== '') {
    try {
      fileSink = createFileSink({ ...config.log, ...style, path: config.log.file }, clock);
    } catch (error) {
      return messageOf(error);
    }
    sinks.push(fileSink);
  }
  return {
    log: createLogger('agent', sinks, clock.nowMs),
    consoleSink,
    monitor,
    applyLogLevel(next) {
      consoleSink.setLevel(next.log.level);
      fileSink?.setLevel(next.log.level);
    },
  };
}

/** Ends the agent once, by signal or on request. Invariant: `exit` is called exactly once. */
function createStopper(log: Logger, exit: (code: number) => void) {
  let agent: Agent | undefined;
  let state: 'running' | 'leaving' | 'stopped' = 'running';

  async function now(code: number): Promise<void> {
    if (state === 'stopped') return;
    state = 'stopped';
    try {
      await agent?.shutdown();
    } catch (error) {
      log.error('Error while shutting down', { error: messageOf(error) });
    }
    exit(code);
  }

  async function gracefully(): Promise<void> {
    if (state !== 'running') return;
    state = 'leaving';
    log.info('Gracefully shutting down agent...');
    const limit = realEnv.clock.setTimer(GRACEFUL_TIMEOUT_MS, () => void now(1), true);
    try {
      await agent?.leave();
      log.info('Graceful exit completed');
      await now(0);
    } catch (error) {
      log.error('Error on leave', { error: messageOf(error) });
      await now(1);
    } finally {
      limit.cancel();
    }
  }

  function onSignal(signal: string, isGraceful: boolean): void {
    log.info('Caught', { signal });
    if (state === 'leaving') void now(1);
    else if (isGraceful) void gracefully();
    else {
      log.info('Graceful shutdown disabled. Exiting');
      void now(1);
    }
  }

  return {
    now,
    gracefully,
    watch(running: Agent, config: Config) {
      agent = running;
      process.on('SIGINT', () => onSignal('interrupt', !config.skipLeaveOnInterrupt));
      process.on('SIGTERM', () => onSignal('terminated', config.leaveOnTerminate));
      process.on('SIGUSR1', () => process.stderr.write(running.metricsDump()));
      process.on('SIGHUP', () => {
        log.info('Caught', { signal: 'hangup' });
        log.info('Reloading configuration...');
        running
          .reload()
          .catch((error: unknown) => log.error('Failed to reload configs', { error: messageOf(error) }));
      });
    },
  };
}

/** Off, and not even loaded, unless a collector is configured. @returns what sends pending spans at the end */
async function startTraceExport(config: Config, io: CliIo): Promise<() => Promise<void>> {
  if ((io.env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '') === '') return async () => undefined;
  const { registerTraceExport } = await import('../../../shared/telemetry-export.ts');
  return registerTraceExport('proconsul', config.nodeName);
}

function writePidFile(config: Config, log: Logger): void {
  if (config.pidFile === '') return;
  try {
    writeFileSync(config.pidFile, `${process.pid}\n`);
  } catch (error) {
    log.error('Could not write pid file', { error: messageOf(error) });
  }
}

function removePidFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or never written: either way nothing is left to remove.
  }
}
