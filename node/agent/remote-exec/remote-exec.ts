/**
 * The agent's side of `exec`: runs the job that a `_rexec` event points to and reports under the job's session.
 *
 * Reports are the keys `<prefix>/<session>/<node>/ack`, `…/out/00000` and following (an empty one is a sign of life) and
 * `…/exit`, all locked by the session, so that they go when it goes. A report that cannot be written ends the job: whoever
 * asked is not there any more.
 */

import type { Env } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import type { Backend } from '../../rpc/backend.ts';
import { kvApply, kvGet } from '../../rpc/endpoints.ts';
import { messageOf } from '../checks/go-errors.ts';
import { type Job, type JobPlace, readJob, readPlace } from './job.ts';
import { type RunningJob, startJob } from './running-job.ts';

export interface RemoteExecOptions {
  readonly nodeName: string;
  readonly backend: Backend;
  readonly env: Env;
  readonly log: Logger;
  /** Starts the command; replaced in tests. */
  readonly start?: (job: Job) => Promise<RunningJob>;
}

export interface RemoteExec {
  /** Takes up a job in the background; never throws. */
  run(event: UserEvent): void;
  /** Kills what is still running. */
  stop(): void;
}

/** Consul runs as many as it is asked for; more than this at once is a mistake or an attack. */
const MAX_JOBS = 16;
/** Reported when the command could not be started or was abandoned, as Consul does. */
const EXIT_NOT_RUN = 255;
const CALL = { datacenter: '', token: '' };

export function createRemoteExec(options: RemoteExecOptions): RemoteExec {
  const { nodeName, backend, env, log } = options;
  const start = options.start ?? ((job: Job) => startJob(job));
  const running = new Set<RunningJob>();
  let jobs = 0;
  let isStopped = false;

  async function report(place: JobPlace, suffix: string, value: Uint8Array): Promise<boolean> {
    const key = `${folderOf(place)}/${nodeName}/${suffix}`;
    const lock = { verb: 'lock', flags: 0, index: 0, session: place.session } as const;
    try {
      if (await backend.write(kvApply, { ...lock, key, value }, CALL)) return true;
      log.error('failed to write key: lock was not acquired', { key });
    } catch (error) {
      log.error('failed to write key', { key, error: messageOf(error) });
    }
    return false;
  }

  async function readJobAt(place: JobPlace): Promise<Job | undefined> {
    const read = { ...CALL, consistency: 'default' } as const;
    const { value } = await backend.read(kvGet, { key: `${folderOf(place)}/job` }, read);
    return readJob(Buffer.from(value[0]?.Value ?? '', 'base64'));
  }

  async function take(event: UserEvent): Promise<void> {
    const place = readPlace(event.payload);
    if (place === undefined) {
      log.error('failed to decode remote exec event', { event_id: event.id });
      return;
    }
    const job = await readJobAt(place);
    if (job === undefined) {
      log.error('remote exec spec not found or not valid', { event_id: event.id });
      return;
    }
    if (!(await report(place, 'ack', NOTHING))) return;
    log.info('remote exec script', { event_id: event.id, kind: job.kind });
    await report(place, 'exit', Buffer.from(String(await carryOut(place, job))));
  }

  /** @returns the exit code to report */
  async function carryOut(place: JobPlace, job: Job): Promise<number> {
    let child: RunningJob;
    try {
      child = await start(job);
    } catch (error) {
      log.error('failed to start remote exec', { error: messageOf(error) });
      return EXIT_NOT_RUN;
    }
    running.add(child);
    if (isStopped) child.kill();
    try {
      for (let part = 0; ; part++) {
        const output = await child.next(env.clock, job.waitMs);
        if (output === 'ended') return await child.exitCode;
        if (await report(place, `out/${String(part).padStart(5, '0')}`, output)) continue;
        child.kill();
        return EXIT_NOT_RUN;
      }
    } finally {
      running.delete(child);
    }
  }

  return {
    run(event) {
      if (isStopped) return;
      if (jobs >= MAX_JOBS) {
        log.warn('too many remote executions at once, ignoring one', { event_id: event.id });
        return;
      }
      jobs++;
      take(event)
        .catch((error: unknown) => log.error('remote exec failed', { error: messageOf(error) }))
        .finally(() => jobs--);
    },
    stop() {
      isStopped = true;
      for (const child of running) child.kill();
    },
  };
}

const NOTHING = new Uint8Array(0);

function folderOf({ prefix, session }: JobPlace): string {
  return `${prefix}/${session}`;
}
