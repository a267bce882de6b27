/** What of the agent's services and checks survives a restart, and where it lies under data_dir. */

import { join } from 'node:path';
import type { Clock } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import { messageOf } from '../checks/go-errors.ts';
import { DefinitionFiles, readFolder, type StoredFile } from './definition-files.ts';
import type { CheckRecord, ServiceRecord } from './local-state.ts';
import {
  decodeCheck,
  decodeService,
  decodeTtlState,
  encodeCheck,
  encodeService,
  encodeTtlState,
  type TtlState,
} from './persisted-form.ts';
import { fileNameOf } from './registration.ts';

export interface Persistence {
  /** Each resolves when it is on disk and rejects with the file system's error. */
  saveService(record: ServiceRecord): Promise<void>;
  removeService(serviceId: string): Promise<void>;
  saveCheck(record: CheckRecord): Promise<void>;
  /** With its TTL state. */
  removeCheck(checkId: string): Promise<void>;
  /** Returns at once; a failure is logged. Skipped while what is on disk says the same for long enough. */
  saveTtlState(checkId: string, status: string, output: string, ttlMs: number): void;
  load(): Promise<Persisted>;
  /** Resolves when everything is written. */
  close(): Promise<void>;
}

/** Readable items only; damaged files were logged by name and left where they are. */
export interface Persisted {
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
  /** By check ID, expired ones left out. */
  readonly ttlStates: ReadonlyMap<string, TtlState>;
  /** Some service file could not be read: checks without their service may belong to it. */
  readonly hasDamagedServices: boolean;
}

/** Keeps nothing: agents without a data_dir. */
export const NO_PERSISTENCE: Persistence = {
  saveService: () => Promise.resolve(),
  removeService: () => Promise.resolve(),
  saveCheck: () => Promise.resolve(),
  removeCheck: () => Promise.resolve(),
  saveTtlState: () => {},
  load: () => Promise.resolve({ services: [], checks: [], ttlStates: new Map(), hasDamagedServices: false }),
  close: () => Promise.resolve(),
};

export function createPersistence(dataDir: string, clock: Clock, log: Logger): Persistence {
  const files = new DefinitionFiles();
  const written = new Map<string, TtlState>();
  const serviceFolder = join(dataDir, 'services');
  const checkFolder = join(dataDir, 'checks');
  const stateFolder = join(checkFolder, 'state');
  const servicePath = (id: string) => join(serviceFolder, fileNameOf(id));
  const checkPath = (id: string) => join(checkFolder, fileNameOf(id));
  const statePath = (id: string) => join(stateFolder, fileNameOf(id));

  async function loadTtlStates(): Promise<Map<string, TtlState>> {
    const states = new Map<string, TtlState>();
    const nowS = clock.nowMs() / 1000;
    for (const file of await readFolder(stateFolder)) {
      const state = decoded(file, decodeTtlState, 'failed decoding check state', log);
      if (state === undefined) continue;
      if (state.expiresAtS > nowS) {
        states.set(state.checkId, state);
        continue;
      }
      log.debug('check state expired, not restoring', { check: state.checkId });
      files.remove(file.path).catch((error) => logWriteFailure(log, file.path, error));
    }
    return states;
  }

  return {
    saveService: (record) => files.write(servicePath(record.service.ID), encodeService(record)),
    removeService: (id) => files.remove(servicePath(id)),
    saveCheck: (record) => files.write(checkPath(record.check.CheckID), encodeCheck(record)),
    async removeCheck(id) {
      written.delete(id);
      await Promise.all([files.remove(checkPath(id)), files.remove(statePath(id))]);
    },
    saveTtlState(checkId, status, output, ttlMs) {
      const nowMs = clock.nowMs();
      const before = written.get(checkId);
      const isSame = before?.status === status && before.output === output;
      if (isSame && before.expiresAtS * 1000 - nowMs > ttlMs / 2) return;
      const state = { checkId, status, output, expiresAtS: Math.floor((nowMs + ttlMs) / 1000) };
      written.set(checkId, state);
      // No sync: heartbeats are frequent, and what a crash loses the next heartbeat brings back.
      const path = statePath(checkId);
      files.write(path, encodeTtlState(state), false).catch((error) => logWriteFailure(log, path, error));
    },
    async load() {
      const ttlStates = await loadTtlStates();
      const serviceFiles = await readFolder(serviceFolder);
      const services = serviceFiles.map((file) =>
        decoded(file, decodeService, 'Failed decoding service file', log),
      );
      const checks = (await readFolder(checkFolder)).map((file) =>
        decoded(file, decodeCheck, 'Failed decoding check file', log),
      );
      return {
        services: services.filter((record) => record !== undefined),
        checks: checks.filter((record) => record !== undefined),
        ttlStates,
        hasDamagedServices: services.includes(undefined),
      };
    },
    close: () => files.idle(),
  };
}

function decoded<T>(
  file: StoredFile,
  decode: (text: string) => T,
  failure: string,
  log: Logger,
): T | undefined {
  try {
    if (file.content instanceof Error) throw file.content;
    return decode(file.content);
  } catch (error) {
    log.error(failure, { file: file.path, error: messageOf(error) });
    return undefined;
  }
}

function logWriteFailure(log: Logger, path: string, error: unknown): void {
  log.error('failed to write file', { file: path, error: messageOf(error) });
}
