// Replays the recorded groups that are done. A failed step fails the gate unless docs/compatibility.md names it (`group/case #step`).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Report {
  readonly cases: readonly {
    readonly case: string;
    readonly failures: readonly { readonly step: number }[];
  }[];
}

const kit = process.argv[2] ?? '';
const root = new URL('..', import.meta.url).pathname;
const groups = readFileSync(join(root, '.ci/conformance-groups.txt'), 'utf8').split(/\s+/).filter(Boolean);
const decisions = readFileSync(join(root, 'docs/compatibility.md'), 'utf8');
const report = join(mkdtempSync(join(tmpdir(), 'conformance-')), 'report.json');

const only = groups.flatMap((group) => ['--only', `${group}/*`]);
const run = spawnSync(
  process.execPath,
  [kit, '--start', `${process.execPath} ${join(root, 'dist/node/main.js')}`, ...only, '--json', report],
  {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  },
);
process.stdout.write(run.stdout);
process.stderr.write(run.stderr);
if (run.status === 0) process.exit(0);
if (run.status !== 1) process.exit(run.status ?? 2);

const { cases } = JSON.parse(readFileSync(report, 'utf8')) as Report;
const failed = cases.flatMap((result) => result.failures.map(({ step }) => `${result.case} #${step}`));
const undecided = failed.filter((name) => !decisions.includes(`\`${name}\``));
if (failed.length === 0 || undecided.length > 0) {
  process.stdout.write(`failed without a reason in docs/compatibility.md: ${undecided.join(', ')}\n`);
  process.exit(1);
}
process.stdout.write(`every failed step is a decision of docs/compatibility.md: ${failed.join(', ')}\n`);
