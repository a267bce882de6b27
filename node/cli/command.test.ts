/** How command lines are dispatched, and what help and completion say. */

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { childOf } from './child-command.ts';
import type { Command, CommandGroup } from './command.ts';
import { completeLine } from './completion/complete-line.ts';
import { installCompletion, uninstallCompletion } from './completion/shell-files.ts';
import { completionScript, programCall } from './completion/shell-scripts.ts';
import { commandHelp, groupHelp } from './help.ts';
import { rootCommand } from './root.ts';
import { runCli } from './testing/run-cli.ts';

test('no command and an unknown one print the list on stderr and exit 127', async () => {
  for (const args of [[], ['nope'], ['toString']]) {
    const run = await runCli(args);
    expect(run.code).toBe(127);
    expect(run.out).toBe('');
    expect(run.err).toMatch(
      /^Usage: consul \[--version\] \[--help\] <command> \[<args>\]\n\nAvailable commands are:\n {4}acl/,
    );
  }
});

test('a group alone, or with an unknown subcommand, prints its help on stderr and exits 1', async () => {
  for (const args of [['kv'], ['kv', 'nope'], ['acl', 'token'], ['operator', 'raft', 'x']]) {
    const run = await runCli(args);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(/^Usage: consul \S+.* <subcommand>/);
  }
});

test('help goes to standard output', async () => {
  expect((await runCli(['--help'])).out).toMatch(/^Usage: consul /);
  expect((await runCli(['kv', '-h'])).out).toMatch(/^Usage: consul kv <subcommand>/);
  const help = await runCli(['kv', 'get', '-h']);
  expect(help.code).toBe(0);
  expect(help.out).toMatch(/^Usage: consul kv get \[options\] \[KEY_OR_PREFIX\]\n/);
  expect(help.out.indexOf('HTTP API Options')).toBeLessThan(help.out.indexOf('Command Options'));
  expect(help.out).toContain('\n  -http-addr=<address>\n     The address and port of the agent');
});

test.each<[string[], number, 'out' | 'err', RegExp]>([
  [['-h', 'kv', 'get'], 0, 'out', /^Usage: consul kv get /],
  [['kv', '-h', 'get'], 0, 'out', /^Usage: consul kv get /],
  [['kv', 'put', 'key', '-h'], 0, 'out', /^Usage: consul kv put /],
  [['lock', 'prefix', 'ls', '--help'], 0, 'out', /^Usage: consul lock /],
  [['kv', 'nope', '-h'], 0, 'out', /^Usage: consul kv <subcommand>/],
  [['nope', '-h'], 127, 'err', /^Usage: consul \[--version\]/],
  [['kv', 'get', '--', '-h', 'x'], 1, 'err', /^Too many arguments \(expected 1, got 2\)\n$/],
  [
    ['-stale', 'kv', 'get'],
    1,
    'err',
    /^Invalid flags before the subcommand\.[\s\S]*\n\nUsage: consul kv <sub/,
  ],
])('%j: help counts wherever it stands before two dashes', async (args, code, stream, text) => {
  const run = await runCli(args);
  expect(run.code).toBe(code);
  expect(run[stream]).toMatch(text);
});

test('bad flags print Go’s sentence and the flags', async () => {
  const run = await runCli(['kv', 'get', '-nope', 'x']);
  expect(run.code).toBe(1);
  expect(run.err).toMatch(/^flag provided but not defined: -nope\n {2}-base64\n/);
  expect((await runCli(['lock', '-n=x', 'a', 'b'])).err).toMatch(
    /^invalid value "x" for flag -n: parse error\n/,
  );
});

test('every command has a synopsis, a usage that names it, and flags with texts, none twice', () => {
  const visit = (entry: Command | CommandGroup, words: readonly string[]): void => {
    expect(entry.synopsis, words.join(' ')).not.toBe('');
    expect(entry.usage.startsWith(`Usage: ${words.join(' ')}`), words.join(' ')).toBe(true);
    if (entry.kind === 'group') {
      for (const name of Object.keys(entry.commands)) {
        const child = childOf(entry, name);
        if (child !== undefined) visit(child, [...words, name]);
      }
      return;
    }
    const names = entry.flags.map((flag) => flag.name);
    expect(new Set(names).size, words.join(' ')).toBe(names.length);
    for (const flag of entry.flags) expect(flag.usage, flag.name).toMatch(/\S/);
  };
  for (const name of Object.keys(rootCommand.commands)) {
    const child = childOf(rootCommand, name);
    if (child !== undefined) visit(child, ['consul', name]);
  }
});

test('help keeps within the width of a terminal', () => {
  const long = 'word '.repeat(40).trim().concat('.');
  const command: Command = {
    kind: 'command',
    synopsis: 'x',
    usage: 'Usage: consul x',
    flags: [
      { name: 'b', kind: 'int', usage: long },
      { name: 'a', kind: 'bool', usage: 'Short.' },
    ],
    run: async () => 0,
  };
  const help = commandHelp(command);
  expect(
    help.startsWith('Usage: consul x\n\nCommand Options\n\n  -a\n     Short.\n\n  -b=<int>\n     word'),
  ).toBe(true);
  expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  const group: CommandGroup = {
    kind: 'group',
    synopsis: 'g',
    usage: 'Usage: consul g <subcommand>',
    commands: { second: command, 'a-b': command },
  };
  expect(groupHelp(group)).toBe(
    'Usage: consul g <subcommand>\n\nSubcommands:\n\n    a-b       x\n    second    x\n',
  );
});

test.each([
  ['proconsul ', 'acl'],
  ['proconsul op', 'operator'],
  ['proconsul kv p', 'put'],
  ['proconsul operator autopilot ', 'get-config set-config'],
  ['proconsul kv get -de', '-detailed'],
  ['proconsul kv get -st', '-stale'],
  ['proconsul kv get key', ''],
  ['proconsul nope ', ''],
  ['proconsul kv -', '-help'],
])('"%s" completes to %s', (line, expected) => {
  const found = completeLine(rootCommand, line, line.length);
  if (line.endsWith('proconsul ')) expect(found[0]).toBe(expected);
  else expect(found.join(' ')).toBe(expected);
});

test('a shell asks by COMP_LINE, up to the cursor', async () => {
  const env = { COMP_LINE: 'proconsul snapshot sa XYZ', COMP_POINT: '21' };
  expect(await runCli(['proconsul', 'sa', 'snapshot'], { env })).toEqual({ code: 0, out: 'save\n', err: '' });
});

test('scripts name the program as it was started', () => {
  const link = programCall(['/usr/bin/node', '/usr/local/bin/proconsul']);
  expect(completionScript('bash', link)).toBe('complete -C /usr/local/bin/proconsul proconsul\n');
  const file = programCall(['/usr/bin/node', '/opt/my app/main.js']);
  expect(completionScript('zsh', file)).toBe(
    "autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C '/usr/bin/node '\\''/opt/my app/main.js'\\''' proconsul\n",
  );
  expect(completionScript('fish', link)).toContain('complete -f -c proconsul -a "(__complete_proconsul)"\n');
});

test('the script is printed on request', async () => {
  expect((await runCli(['completion', 'bash'])).out).toMatch(/^complete -C .* proconsul\n$/);
  expect((await runCli(['completion', 'tcsh'])).code).toBe(1);
});

test('installing adds to the start files there are, once, and uninstalling takes it out again', () => {
  const home = mkdtempSync(join(tmpdir(), 'completion-test-'));
  const bashrc = join(home, '.bashrc');
  const zshrc = join(home, '.zshrc');
  writeFileSync(bashrc, 'alias x=y');
  writeFileSync(zshrc, '');
  mkdirSync(join(home, '.config', 'fish'), { recursive: true });
  const errors: string[] = [];
  const io = {
    out: () => undefined,
    err: (text: string) => void errors.push(text),
    readStdin: async () => Buffer.alloc(0),
    env: { HOME: home },
    clock: { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => undefined }) },
    interrupted: new AbortController().signal,
  };
  const call = { name: 'proconsul', words: ['/bin/proconsul'] };
  expect(installCompletion(io, call)).toBe(0);
  expect(readFileSync(bashrc, 'utf8')).toBe('alias x=y\ncomplete -C /bin/proconsul proconsul\n');
  expect(readFileSync(zshrc, 'utf8')).toBe(
    'autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C /bin/proconsul proconsul\n',
  );
  const fish = join(home, '.config', 'fish', 'completions', 'proconsul.fish');
  expect(readFileSync(fish, 'utf8')).toBe(completionScript('fish', call));
  expect(installCompletion(io, call)).toBe(1);
  expect(errors[0]).toBe(`Error executing CLI: install bash: already installed in ${bashrc}\n`);
  expect(uninstallCompletion(io, call)).toBe(0);
  expect(readFileSync(bashrc, 'utf8')).toBe('alias x=y\n');
  expect(() => readFileSync(fish)).toThrow();
});
