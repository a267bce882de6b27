/** `debug`: gathers what helps to understand an agent over a while, as an archive. */

import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDurationMs, parseDurationMs } from '../../../../shared/durations.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { boolFlag, listFlag, messageOf, textFlag } from '../../flag-access.ts';
import { goTimeText } from '../../go-time.ts';
import { pause } from '../../pause.ts';
import { packFolder } from './tar-archive.ts';
import { captureInterval, captureStatic, TARGETS, type Target } from './targets.ts';

const MIN_DURATION_MS = 10_000;
const MIN_INTERVAL_MS = 5000;
const NO_PROFILES =
  '[WARN] Unable to capture pprof. Set enable_debug to true on target agent to enable profiling.\n';

export const debugCommand = clientCommand({
  synopsis: 'Records a debugging archive for operators',
  usage: `Usage: consul debug [options]

  Monitors a Consul agent for the specified period of time, recording
  information about the agent, cluster, and environment to an archive
  written to the specified path.

  If ACLs are enabled, an 'operator:read' token must be supplied in order to
  perform this operation.

      $ consul debug -interval=20s -duration=1m -capture=metrics -capture=agent`,
  flags: [
    {
      name: 'archive',
      kind: 'bool',
      usage: 'Pack the result into a .tar.gz. The default; -archive=false keeps a folder.',
    },
    {
      name: 'capture',
      kind: 'strings',
      usage: `What to capture: ${TARGETS.join(', ')}. Can be specified multiple times. Default: all.`,
    },
    { name: 'duration', kind: 'duration', usage: 'How long to record, at least 10s. Default 2m.' },
    { name: 'interval', kind: 'duration', usage: 'How often to capture, at least every 5s. Default 30s.' },
    {
      name: 'output',
      kind: 'string',
      usage: 'Path of the archive or folder, without extension. Default consul-debug-<unix time>.',
    },
  ],
  takesServerFlags: false,
  async run(client, flags, io) {
    if (flags.rest.length > 0) {
      io.err('==> debug: Too many arguments provided, expected 0\n');
      return 1;
    }
    let plan: CapturePlan;
    try {
      plan = await preparePlan(client, flags, io);
    } catch (error) {
      io.err(`==> Capture validation failed: ${messageOf(error)}\n`);
      return 1;
    }
    return capture(client, plan, io);
  },
});

interface CapturePlan {
  readonly version: string;
  readonly targets: readonly Target[];
  readonly durationMs: number;
  readonly intervalMs: number;
  readonly folder: string;
  readonly isArchived: boolean;
}

/** @throws Error */
async function preparePlan(client: ApiClient, flags: ParsedFlags, io: CliIo): Promise<CapturePlan> {
  const durationMs = parseDurationMs(textFlag(flags, 'duration', '2m'));
  const intervalMs = parseDurationMs(textFlag(flags, 'interval', '30s'));
  if (durationMs < MIN_DURATION_MS) throw new Error('duration must be longer than 10s');
  // The number in the text is Consul's; the limit is 5s.
  if (intervalMs < MIN_INTERVAL_MS) throw new Error('interval must be longer than 10s');
  if (durationMs < intervalMs) {
    throw new Error(
      `duration (${formatDurationMs(durationMs)}) must be longer than interval (${formatDurationMs(intervalMs)})`,
    );
  }
  const self = await askAgent(client);
  const wanted = listFlag(flags, 'capture').length === 0 ? TARGETS : listFlag(flags, 'capture');
  const targets = wanted.map(targetOf);
  const hasProfiles = self.DebugConfig?.EnableDebug === true;
  if (targets.includes('pprof') && !hasProfiles) io.err(NO_PROFILES);
  const unixSeconds = Math.floor(io.clock.nowMs() / 1000);
  const folder = textFlag(flags, 'output', `consul-debug-${unixSeconds}`);
  if (existsSync(folder)) throw new Error(`output directory already exists: ${folder}`);
  return {
    version: self.Config.Version,
    targets: targets.filter((target) => target !== 'pprof' || hasProfiles),
    durationMs,
    intervalMs,
    folder,
    isArchived: !flags.values.has('archive') || boolFlag(flags, 'archive'),
  };
}

interface Self {
  readonly Config: { readonly Version: string };
  readonly DebugConfig?: { readonly EnableDebug?: boolean };
}

async function askAgent(client: ApiClient): Promise<Self> {
  try {
    return await client.json<Self>({ method: 'GET', path: '/v1/agent/self' });
  } catch (error) {
    throw new Error(
      `error querying target agent: ${messageOf(error)}. verify connectivity and agent address`,
    );
  }
}

function targetOf(name: string): Target {
  const target = TARGETS.find((known) => known === name);
  if (target === undefined) throw new Error(`target not found: ${name}`);
  return target;
}

async function capture(client: ApiClient, plan: CapturePlan, io: CliIo): Promise<number> {
  const output = plan.isArchived ? `${plan.folder}.tar.gz` : plan.folder;
  const rows = [
    ['Agent Version', plan.version],
    ['Interval', formatDurationMs(plan.intervalMs)],
    ['Duration', formatDurationMs(plan.durationMs)],
    ['Output', output],
    ['Capture', plan.targets.join(', ')],
  ] as const;
  io.out('==> Starting debugger and capturing static information...\n');
  for (const [name, value] of rows) io.out(`${name.padStart(18)}: '${value}'\n`);
  try {
    await mkdir(plan.folder, { recursive: true, mode: 0o700 });
    await captureStatic(client, plan.targets, plan.folder);
    await captureOverTime(client, plan, io);
    const index = {
      Version: 1,
      AgentVersion: plan.version,
      Interval: formatDurationMs(plan.intervalMs),
      Duration: formatDurationMs(plan.durationMs),
      Targets: plan.targets,
    };
    await writeFile(join(plan.folder, 'index.json'), `${JSON.stringify(index)}\n`);
    if (plan.isArchived) {
      await packFolder(plan.folder, output);
      await rm(plan.folder, { recursive: true });
    }
  } catch (error) {
    io.err(`==> Capture failed: ${messageOf(error)}\n`);
    return 1;
  }
  io.out(`    Saved debug ${plan.isArchived ? 'archive' : 'directory'}: ${output}\n`);
  return 0;
}

/** One capture every interval, until the duration is over or the user interrupts. A failed one is reported. */
async function captureOverTime(client: ApiClient, plan: CapturePlan, io: CliIo): Promise<void> {
  const startMs = io.clock.monotonicMs();
  io.out(`==> Beginning capture interval ${timeText(io.clock.nowMs())} (0)\n`);
  const count = Math.max(1, Math.floor(plan.durationMs / plan.intervalMs));
  for (let i = 0; i < count && !io.interrupted.aborted; i++) {
    await pause(io.clock, startMs + i * plan.intervalMs - io.clock.monotonicMs(), io.interrupted);
    const seconds = Math.floor(io.clock.nowMs() / 1000);
    const folder = join(plan.folder, String(seconds));
    try {
      await captureInterval(client, plan.targets, folder, plan.intervalMs, io);
      io.out(`==> Capture successful ${timeText(seconds * 1000)} (${i + 1})\n`);
    } catch (error) {
      io.err(`==> Capture failure ${messageOf(error)}\n`);
    }
  }
  await pause(io.clock, startMs + plan.durationMs - io.clock.monotonicMs(), io.interrupted);
}

function timeText(ms: number): string {
  return goTimeText(new Date(ms).toISOString());
}
