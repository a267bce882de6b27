// Holds the design's import rules and keeps clocks, timers and randomness behind `Env`.
// Exits 1 with one line per violation.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;

/** What each module may import, besides itself. A module is the longest key that is a prefix of the path. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  gateway: ['shared'],
  'node/raft': ['shared'],
  'node/gossip': ['shared'],
  'node/state': ['shared'],
  'node/rpc': ['shared'],
  'node/config': ['shared'],
  'node/server': ['shared', 'node/state', 'node/raft', 'node/gossip', 'node/rpc'],
  'node/http': ['shared', 'node/rpc'],
  'node/dns': ['shared', 'node/rpc'],
  'node/agent': [
    'shared',
    'node/config',
    'node/http',
    'node/dns',
    'node/server',
    'node/state',
    'node/raft',
    'node/gossip',
    'node/rpc',
  ],
  'node/cli': ['shared', 'node/config', 'node/agent'],
  'node/main.ts': ['node/cli', 'shared'],
};
/** Free to import anything: they span modules. */
const SPANNING = ['test', 'bench', 'launch', '.ci'];

/** The Workers build starts here: whatever these reach must do with Web APIs, and so must all of `shared`. */
const RUNTIME_NEUTRAL_ROOTS = ['gateway/app.ts', 'gateway/worker.ts'];

const FORBIDDEN =
  /\b(?:Date\.now|Math\.random|performance\.now)\b|(?<![.\w])(?:setTimeout|setInterval)\(|new Date\(\)/;
/** The real environment itself, and processes that only measure or drive others. */
const MAY_TELL_TIME = ['shared/env.ts'];

const problems: string[] = [];
const files = new Map([...sources(ROOT)].map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
const neutral = reachable(RUNTIME_NEUTRAL_ROOTS);
for (const [file, text] of files) {
  const isTest = file.endsWith('.test.ts') || /(^|\/)(?:testing|testdata)(\/|\.ts)/.test(file);
  if (!SPANNING.some((dir) => file.startsWith(`${dir}/`))) {
    checkImports(file, text, isTest);
    if (!isTest && !MAY_TELL_TIME.includes(file)) checkTime(file, text);
  }
}
if (problems.length > 0) {
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exit(1);
}
process.stdout.write('module boundaries hold\n');

function checkImports(file: string, text: string, isTest: boolean): void {
  const from = moduleOf(file);
  if (from === undefined) return;
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(file), specifier));
      if (target === 'package.json') continue;
      const to = moduleOf(target);
      const isFine = to === from || (to !== undefined && (MAY_IMPORT[from] ?? []).includes(to));
      if (!isFine && !(isTest && target.startsWith('node/') && from === 'node/server'))
        problems.push(`${file}: ${from} may not import ${target}`);
    } else if (
      specifier.startsWith('node:') &&
      !isTest &&
      (neutral.has(file) || file.startsWith('shared/'))
    ) {
      problems.push(`${file}: runtime-neutral code may not import ${specifier}`);
    }
  }
}

/** Files that are imported, directly or not, from the given ones, these included. */
function reachable(roots: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const pending = [...roots];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const text = files.get(file);
    if (text === undefined || seen.has(file)) continue;
    seen.add(file);
    for (const specifier of importsOf(text)) {
      if (specifier.startsWith('.')) pending.push(normalize(join(dirname(file), specifier)));
    }
  }
  return seen;
}

function checkTime(file: string, text: string): void {
  text.split('\n').forEach((line, i) => {
    const code = line.replace(/^\s*(?:\*|\/\/|\/\*).*$/, '').replace(/\/\/ .*$/, '');
    if (FORBIDDEN.test(code))
      problems.push(`${file}:${i + 1}: time and randomness come from Env: ${line.trim()}`);
  });
}

function moduleOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((name) => path === name || path.startsWith(`${name}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function importsOf(text: string): string[] {
  return [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^'"]*?\bfrom\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function* sources(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === '.git') continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith('.ts')) yield relative(ROOT, path);
  }
}
