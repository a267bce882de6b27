/** The `watches` of an agent's configuration: read, checked, and kept running against the agent's own API. */

import { parseDurationMs } from '../../../../shared/durations.ts';
import type { Logger } from '../../../../shared/log.ts';
import type { Config } from '../../../config/config.ts';
import { isTree, type Tree, type TreeValue } from '../../../config/decode.ts';
import type { FlagValue, ParsedFlags } from '../../../config/flags.ts';
import { createApiClient } from '../../api-client.ts';
import type { CliIo } from '../../command.ts';
import { messageOf } from '../../flag-access.ts';
import { type Handler, httpHandler, scriptHandler } from './handlers.ts';
import { type WatchPlan, watchPlan } from './plans.ts';
import { watchResults } from './results.ts';

interface ConfiguredWatch {
  readonly type: string;
  readonly plan: WatchPlan;
  readonly handler: Handler;
  /** Token, datacenter and staleness, as flags of the client. */
  readonly flags: ParsedFlags;
}

export interface RunningWatches {
  /** Ends those of before and runs those of the new configuration. @throws Error as `startWatches`, before anything ends */
  replace(next: Config): void;
  stop(): void;
}

/**
 * Runs them at once; each calls its handler with the present value first.
 * @throws Error that names the watch and what is wrong with it
 */
export function startWatches(config: Config, io: CliIo, log: Logger): RunningWatches {
  let ending = run(config, io, log);
  return {
    replace(next) {
      const before = ending;
      ending = run(next, io, log);
      before.abort();
    },
    stop: () => ending.abort(),
  };
}

function run(config: Config, io: CliIo, log: Logger): AbortController {
  const ending = new AbortController();
  const watches = config.watches.map(readWatch);
  if (watches.length === 0) return ending;
  const env = { ...io.env, CONSUL_HTTP_ADDR: ownAddress(config) };
  const watchIo: CliIo = {
    ...io,
    env,
    err: (text) => log.error(text.replace(/^\[ERROR\] /, '').trimEnd()),
    interrupted: ending.signal,
  };
  for (const watch of watches) void follow(watch, watchIo, log);
  return ending;
}

async function follow(watch: ConfiguredWatch, io: CliIo, log: Logger): Promise<void> {
  try {
    const client = createApiClient(watch.flags, io);
    for await (const result of watchResults(client, watch.plan, io)) {
      try {
        await watch.handler(result, io);
      } catch (error) {
        log.error('Failed to run watch handler', { type: watch.type, error: messageOf(error) });
      }
    }
  } catch (error) {
    log.error('Failed to run watch', { type: watch.type, error: messageOf(error) });
  }
}

/** Mesh types, which the command line refuses with other words. */
const MESH_TYPES = new Set(['connect_roots', 'connect_leaf', 'agent_service']);

function readWatch(tree: Tree): ConfiguredWatch {
  try {
    const type = textOf(tree.type);
    if (type === '') throw new Error('Watch type must be defined');
    if (MESH_TYPES.has(type)) throw new Error(`Watch type ${type} is not allowed in agent config`);
    return { type, plan: watchPlan(type, flagsOf(tree)), handler: handlerOf(tree), flags: flagsOf(tree) };
  } catch (error) {
    throw new Error(`Failed to parse watch (${JSON.stringify(tree)}): ${messageOf(error)}`);
  }
}

function handlerOf(tree: Tree): Handler {
  const args = Array.isArray(tree.args) ? tree.args.map(textOf) : [];
  const command = textOf(tree.handler);
  const kind = textOf(tree.handler_type);
  if (args.length > 0 && command !== '') throw new Error('Only one watch handler allowed');
  if (kind === 'http') return httpHandler(httpSettings(tree.http_handler_config));
  if (kind !== '' && kind !== 'script') throw new Error(`Unsupported handler type: ${kind}`);
  if (args.length === 0 && command === '') throw new Error('Must define a watch handler');
  return command === ''
    ? scriptHandler({ words: args, isShell: false })
    : scriptHandler({ words: [command], isShell: true });
}

function httpSettings(value: TreeValue | undefined) {
  const [given] = Array.isArray(value) ? value : [value];
  const settings: Tree = isTree(given) ? given : {};
  const path = textOf(settings.path);
  if (path === '') throw new Error("Requires 'path' to be set");
  const [header] = Array.isArray(settings.header) ? settings.header : [settings.header];
  return {
    url: new URL(path),
    method: textOf(settings.method) || 'POST',
    timeoutMs: textOf(settings.timeout) === '' ? 10_000 : parseDurationMs(textOf(settings.timeout)),
    headers: isTree(header)
      ? Object.entries(header).flatMap(([name, values]) =>
          (Array.isArray(values) ? values : [values]).map((item): [string, string] => [name, textOf(item)]),
        )
      : [],
    skipsVerify: settings.tls_skip_verify === true,
  };
}

/** The parameters in the form in which the command line has them. */
function flagsOf(tree: Tree): ParsedFlags {
  const values = new Map<string, FlagValue>();
  for (const name of ['key', 'name', 'prefix', 'service', 'state', 'filter', 'token', 'datacenter']) {
    if (textOf(tree[name]) !== '') values.set(name, textOf(tree[name]));
  }
  if (tree.passingonly !== undefined) values.set('passingonly', textOf(tree.passingonly));
  const tags = (Array.isArray(tree.tag) ? tree.tag : [tree.tag]).map(textOf).filter((tag) => tag !== '');
  if (tags.length > 0) values.set('tag', tags);
  if (tree.stale === true) values.set('stale', true);
  return { values, order: [], rest: [] };
}

function textOf(value: TreeValue | undefined): string {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || typeof value === 'number' ? String(value) : '';
}

/** @throws Error when the HTTP API is off */
function ownAddress({ httpAddresses, ports }: Config): string {
  const [address] = httpAddresses;
  if (address?.startsWith('unix://')) return address;
  if (address === undefined || ports.http <= 0)
    throw new Error('watch plans require an HTTP or HTTPS endpoint');
  const host =
    address === '0.0.0.0' ? '127.0.0.1' : address === '::' || address === '[::]' ? '[::1]' : address;
  return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${ports.http}`;
}
