import { expect, test } from 'vitest';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import { hostFacts } from './host-facts.ts';
import { cpuFacts, memoryFacts, platformFacts } from './proc-text.ts';

const MEMORY_KEYS =
  'total available used usedPercent free active inactive wired laundry buffers cached writeback dirty writebacktmp ' +
  'shared slab sreclaimable sunreclaim pagetables swapcached commitlimit committedas hightotal highfree lowtotal ' +
  'lowfree swaptotal swapfree mapped vmalloctotal vmallocused vmallocchunk hugepagestotal hugepagesfree hugepagesize';

test('memory comes in bytes, huge pages by their number', () => {
  const meminfo = [
    'MemTotal:       1000 kB',
    'MemFree:         400 kB',
    'MemAvailable:    700 kB',
    'Buffers:         100 kB',
    'Cached:          200 kB',
    'Committed_AS:     50 kB',
    'HugePages_Total:   3',
  ].join('\n');
  const facts = memoryFacts(meminfo, { total: 1, free: 1 });
  expect(Object.keys(facts).join(' ')).toBe(MEMORY_KEYS);
  expect(facts).toMatchObject({
    total: 1_024_000,
    available: 716_800,
    used: 307_200,
    usedPercent: 30,
    free: 409_600,
    committedas: 51_200,
    hugepagestotal: 3,
    wired: 0,
  });
});

test('without the file there is what the runtime knows', () => {
  const facts = memoryFacts('', { total: 100, free: 25 });
  expect(Object.keys(facts).join(' ')).toBe(MEMORY_KEYS);
  expect(facts).toMatchObject({ total: 100, available: 25, used: 75, usedPercent: 75, cached: 0 });
});

test('processors are told one by one', () => {
  const one = (n: number) =>
    `processor\t: ${n}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: EPYC: 7B13\n` +
    'stepping\t: 0\nmicrocode\t: 0xff\ncpu MHz\t\t: 2450.5\ncache size\t: 512 KB\nphysical id\t: 0\n' +
    `core id\t\t: ${n}\nflags\t\t: fpu vme\n`;
  expect(cpuFacts(`${one(0)}\n${one(1)}\nHardware : x\n`).map((cpu) => JSON.stringify(cpu))).toEqual(
    [0, 1].map(
      (n) =>
        `{"cpu":${n},"vendorId":"AuthenticAMD","family":"25","model":"1","stepping":0,"physicalId":"0","coreId":"${n}",` +
        '"cores":1,"modelName":"EPYC: 7B13","mhz":2450.5,"cacheSize":512,"flags":["fpu","vme"],"microcode":"0xff"}',
    ),
  );
  expect(cpuFacts('')).toEqual([]);
});

test.each([
  ['ID=ubuntu\nVERSION_ID="24.04"', 'ubuntu', 'debian', '24.04'],
  ["ID='nixos'\nID_LIKE=\n", 'nixos', '', ''],
  ['ID=pop\nID_LIKE="ubuntu debian"', 'pop', 'ubuntu', ''],
  ['', '', '', ''],
])('%j is %s of the family %s, version %s', (text, platform, platformFamily, platformVersion) => {
  expect(platformFacts(text)).toEqual({ platform, platformFamily, platformVersion });
});

test('this machine', async () => {
  const facts = (await hostFacts('', simulatedEnv(1).clock)) as Record<string, Record<string, unknown>>;
  expect(Object.keys(facts)).toEqual(['Memory', 'CPU', 'Host', 'Disk', 'CollectionTime', 'Errors']);
  expect(Object.keys(facts.Host ?? {}).join(' ')).toBe(
    'hostname uptime bootTime procs os platform platformFamily platformVersion kernelVersion kernelArch ' +
      'virtualizationSystem virtualizationRole hostid',
  );
  expect(Object.keys(facts.Disk ?? {}).join(' ')).toBe(
    'path fstype total free used usedPercent inodesTotal inodesUsed inodesFree inodesUsedPercent',
  );
});
