/** `/v1/agent/host`: the machine's memory, processors, system and disk, under the keys that Consul uses. */

import { readdir, readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import type { Clock } from '../../../shared/env.ts';
import { cpuFacts, memoryFacts, platformFacts } from './proc-text.ts';

/** Bytes and seconds. @param dataDir whose disk is looked at; '' means the root's */
export async function hostFacts(dataDir: string, clock: Clock): Promise<unknown> {
  const [meminfo, cpuinfo] = await Promise.all([textOf('/proc/meminfo'), textOf('/proc/cpuinfo')]);
  return {
    Memory: memoryFacts(meminfo, { total: os.totalmem(), free: os.freemem() }),
    CPU: processors(cpuinfo),
    Host: await systemFacts(clock),
    Disk: await diskFacts(dataDir === '' ? '/' : dataDir),
    CollectionTime: clock.nowMs() * 1e6,
    Errors: null,
  };
}

function processors(cpuinfo: string): readonly unknown[] {
  const told = cpuFacts(cpuinfo);
  if (told.length > 0) return told;
  return os.cpus().map((cpu, i) => ({ cpu: i, cores: 1, modelName: cpu.model, mhz: cpu.speed }));
}

async function systemFacts(clock: Clock): Promise<Record<string, unknown>> {
  const [osRelease, bootId, processes] = await Promise.all([
    textOf('/etc/os-release'),
    textOf('/proc/sys/kernel/random/boot_id'),
    entriesOf('/proc'),
  ]);
  const { platform, platformFamily, platformVersion } = platformFacts(osRelease);
  return {
    hostname: os.hostname(),
    uptime: Math.floor(os.uptime()),
    bootTime: Math.floor(clock.nowMs() / 1000 - os.uptime()),
    procs: processes.filter((name) => /^\d+$/.test(name)).length,
    os: process.platform,
    platform: platform === '' ? process.platform : platform,
    platformFamily,
    platformVersion,
    kernelVersion: os.release(),
    kernelArch: os.machine(),
    virtualizationSystem: '',
    virtualizationRole: '',
    hostid: bootId.trim(),
  };
}

/** Names of file systems by the number that `statfs` gives. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext2/ext3',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  801189825: 'zfs',
  26985: 'nfs',
};

async function diskFacts(path: string): Promise<Record<string, unknown>> {
  const { type, bsize, blocks, bfree, bavail, files, ffree } = await statfs(path);
  const [used, free] = [(blocks - bfree) * bsize, bavail * bsize];
  const inodesUsed = files - ffree;
  return {
    path,
    fstype: FILE_SYSTEMS[type] ?? '',
    total: blocks * bsize,
    free,
    used,
    usedPercent: percent(used, used + free),
    inodesTotal: files,
    inodesUsed,
    inodesFree: ffree,
    inodesUsedPercent: percent(inodesUsed, files),
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (part / whole) * 100;
}

/** '' where there is no such file, as on other systems than Linux. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return '';
  }
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    // Only Linux has it; then nothing is counted.
    return [];
  }
}
