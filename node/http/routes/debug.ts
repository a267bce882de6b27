/** `/debug/pprof/*`: what this runtime can say of itself in place of Go's profiles. Off unless `enable_debug` is set. */

import { Session } from 'node:inspector/promises';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { sleep } from '../../../shared/env.ts';
import { badRequest, ConsulError } from '../../../shared/errors.ts';
import { jsonReply, type Reply, textReply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { type Handler, route } from '../router.ts';
import { aclDisabled } from './acl.ts';

const DEFAULT_PROFILE_SECONDS = 30;
const MAX_PROFILE_SECONDS = 300;

/** What there is, by the last part of the path. Go's formats do not fit this runtime, so they are V8's. */
const PROFILES: Readonly<Record<string, (request: HttpRequest) => Reply | Promise<Reply>>> = {
  cmdline: () => textReply(200, process.argv.join('\0')),
  heap: (request) =>
    jsonReply({ Heap: getHeapStatistics(), Spaces: getHeapSpaceStatistics() }, request.isPretty),
  goroutine: (request) => jsonReply(countByName(process.getActiveResourcesInfo()), request.isPretty),
  profile: cpuProfile,
};

export const debugRoutes = [
  route('GET POST', '/debug/pprof/', onlyWhenEnabled(index)),
  ...['cmdline', 'profile', 'symbol', 'trace'].map((name) =>
    route('GET POST', `/debug/pprof/${name}`, onlyWhenEnabled(index)),
  ),
];

function onlyWhenEnabled(handler: Handler): Handler {
  return (request) => {
    if (!request.context.config.enableDebug) throw aclDisabled();
    return handler(request);
  };
}

function index(request: HttpRequest): Reply | Promise<Reply> {
  const name = request.after('/debug/pprof/');
  if (name === '') return textReply(200, `/debug/pprof/\n\n${Object.keys(PROFILES).join('\n')}\n`);
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined;
  return profile === undefined ? textReply(404, 'Unknown profile\n') : profile(request);
}

let isProfiling = false;

/** A `.cpuprofile` of the next seconds, for V8's tools. */
async function cpuProfile(request: HttpRequest): Promise<Reply> {
  const given = request.query.text('seconds');
  const seconds = given === '' ? DEFAULT_PROFILE_SECONDS : Number(given);
  if (!(seconds > 0 && seconds <= MAX_PROFILE_SECONDS))
    throw badRequest(`seconds must be above 0 and at most ${MAX_PROFILE_SECONDS}`);
  if (isProfiling)
    throw new ConsulError('conflict', 500, 'Could not enable CPU profiling: cpu profiling already in use');
  isProfiling = true;
  const session = new Session();
  try {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await sleep(request.context.dependencies.env.clock, seconds * 1000, request.waitSignal());
    const { profile } = await session.post('Profiler.stop');
    return jsonReply(profile, false);
  } finally {
    session.disconnect();
    isProfiling = false;
  }
}

function countByName(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
