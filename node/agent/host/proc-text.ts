/** Reads the text files in which Linux tells of its memory, processors and distribution. */

/** The keys of `/v1/agent/host` in order, each with its line in `/proc/meminfo`; '' for what Linux does not know. */
const MEMORY_LINES: readonly (readonly [key: string, line: string])[] = [
  ['active', 'Active'],
  ['inactive', 'Inactive'],
  ['wired', ''],
  ['laundry', ''],
  ['buffers', 'Buffers'],
  ['cached', 'Cached'],
  ['writeback', 'Writeback'],
  ['dirty', 'Dirty'],
  ['writebacktmp', 'WritebackTmp'],
  ['shared', 'Shmem'],
  ['slab', 'Slab'],
  ['sreclaimable', 'SReclaimable'],
  ['sunreclaim', 'SUnreclaim'],
  ['pagetables', 'PageTables'],
  ['swapcached', 'SwapCached'],
  ['commitlimit', 'CommitLimit'],
  ['committedas', 'Committed_AS'],
  ['hightotal', 'HighTotal'],
  ['highfree', 'HighFree'],
  ['lowtotal', 'LowTotal'],
  ['lowfree', 'LowFree'],
  ['swaptotal', 'SwapTotal'],
  ['swapfree', 'SwapFree'],
  ['mapped', 'Mapped'],
  ['vmalloctotal', 'VmallocTotal'],
  ['vmallocused', 'VmallocUsed'],
  ['vmallocchunk', 'VmallocChunk'],
  ['hugepagestotal', 'HugePages_Total'],
  ['hugepagesfree', 'HugePages_Free'],
  ['hugepagesize', 'Hugepagesize'],
];

/**
 * Bytes, and pages for `hugepages…`.
 *
 * @param meminfo  `/proc/meminfo`; '' where there is none, and then everything it would tell is 0
 * @param measured bytes as the runtime knows them, for such a system
 */
export function memoryFacts(
  meminfo: string,
  measured: { readonly total: number; readonly free: number },
): Record<string, number> {
  const lines = keyedLines(meminfo, ':');
  const amount = (line: string) => {
    const [number = '0', unit] = (lines.get(line) ?? '0').split(' ');
    return Number(number) * (unit === 'kB' ? 1024 : 1);
  };
  const isKnown = lines.has('MemTotal');
  const total = isKnown ? amount('MemTotal') : measured.total;
  const free = isKnown ? amount('MemFree') : measured.free;
  const used = Math.max(0, total - free - amount('Buffers') - amount('Cached'));
  return {
    total,
    available: isKnown ? amount('MemAvailable') : free,
    used,
    usedPercent: total === 0 ? 0 : (used / total) * 100,
    free,
    ...Object.fromEntries(MEMORY_LINES.map(([key, line]) => [key, amount(line)])),
  };
}

/** One entry a logical processor; [] when the text tells of none. */
export function cpuFacts(cpuinfo: string): Record<string, unknown>[] {
  const blocks = cpuinfo.split(/\n\s*\n/).map((block) => keyedLines(block, ':'));
  return blocks
    .filter((lines) => lines.has('processor'))
    .map((lines) => ({
      cpu: Number(lines.get('processor')),
      vendorId: lines.get('vendor_id') ?? '',
      family: lines.get('cpu family') ?? '',
      model: lines.get('model') ?? '',
      stepping: wholeNumber(lines.get('stepping')),
      physicalId: lines.get('physical id') ?? '',
      coreId: lines.get('core id') ?? '',
      cores: 1,
      modelName: lines.get('model name') ?? '',
      mhz: Number(lines.get('cpu MHz') ?? 0) || 0,
      cacheSize: wholeNumber(lines.get('cache size')?.replace(/ KB$/, '')),
      flags: (lines.get('flags') ?? lines.get('Features') ?? '').split(' ').filter((flag) => flag !== ''),
      microcode: lines.get('microcode') ?? '',
    }));
}

export interface Platform {
  /** `debian`, `ubuntu`, … */
  readonly platform: string;
  readonly platformFamily: string;
  readonly platformVersion: string;
}

/** @param osRelease `/etc/os-release`; '' where there is none */
export function platformFacts(osRelease: string): Platform {
  const lines = keyedLines(osRelease, '=');
  const textOf = (key: string) => (lines.get(key) ?? '').replace(/^(["'])(.*)\1$/, '$2');
  const platform = textOf('ID');
  return {
    platform,
    platformFamily: FAMILIES[platform] ?? textOf('ID_LIKE').split(' ')[0] ?? '',
    platformVersion: textOf('VERSION_ID'),
  };
}

const FAMILIES: Readonly<Record<string, string>> = {
  debian: 'debian',
  ubuntu: 'debian',
  linuxmint: 'debian',
  raspbian: 'debian',
  fedora: 'fedora',
  centos: 'rhel',
  rhel: 'rhel',
  rocky: 'rhel',
  almalinux: 'rhel',
  ol: 'rhel',
  amzn: 'rhel',
  alpine: 'alpine',
  arch: 'arch',
  opensuse: 'suse',
  'opensuse-leap': 'suse',
  sles: 'suse',
};

function keyedLines(text: string, separator: ':' | '='): ReadonlyMap<string, string> {
  const lines = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf(separator);
    if (at > 0) lines.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return lines;
}

function wholeNumber(text: string | undefined): number {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}
