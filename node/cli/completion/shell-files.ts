/** `-autocomplete-install` and `-autocomplete-uninstall`: put completion into the start files of the user's shells, or take it out. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CliIo } from '../command.ts';
import { messageOf } from '../flag-access.ts';
import { completionScript, type ProgramCall, programCall, type Shell } from './shell-scripts.ts';

/** Where a shell reads completion from. */
interface StartFile {
  readonly shell: Shell;
  readonly path: string;
  /** The whole file is ours, as with fish; otherwise our lines are added to what the user wrote. */
  readonly isOwn: boolean;
}

/** @returns the exit code */
export function installCompletion(io: CliIo, call: ProgramCall = programCall(process.argv)): number {
  return changeEach(io, call, 'install', (file, lines) => {
    if (file.isOwn) {
      mkdirSync(dirname(file.path), { recursive: true });
      writeFileSync(file.path, lines.join('\n').concat('\n'));
      return;
    }
    const before = readFileSync(file.path, 'utf8');
    const missing = lines.filter((line) => !before.split('\n').includes(line));
    if (missing.length === 0) throw new Error(`already installed in ${file.path}`);
    const separator = before === '' || before.endsWith('\n') ? '' : '\n';
    writeFileSync(file.path, `${before}${separator}${missing.join('\n')}\n`);
  });
}

/** @returns the exit code */
export function uninstallCompletion(io: CliIo, call: ProgramCall = programCall(process.argv)): number {
  return changeEach(io, call, 'uninstall', (file, lines) => {
    if (file.isOwn) {
      rmSync(file.path, { force: true });
      return;
    }
    // Other programs need zsh's first line too: only the one that names this program goes.
    const own = lines.at(-1);
    const before = readFileSync(file.path, 'utf8');
    const kept = before.split('\n').filter((line) => line !== own);
    if (kept.length === before.split('\n').length) throw new Error(`not installed in ${file.path}`);
    writeFileSync(file.path, kept.join('\n'));
  });
}

function changeEach(
  io: CliIo,
  call: ProgramCall,
  action: 'install' | 'uninstall',
  change: (file: StartFile, lines: readonly string[]) => void,
): number {
  const files = startFiles(io, call.name);
  if (files.length === 0) {
    io.err('Did not find any shells to install\n');
    return 1;
  }
  let code = 0;
  for (const file of files) {
    const lines = completionScript(file.shell, call).trimEnd().split('\n');
    try {
      change(file, lines);
    } catch (error) {
      io.err(`Error executing CLI: ${action} ${file.shell}: ${messageOf(error)}\n`);
      code = 1;
    }
  }
  return code;
}

/** Only files of shells that the user has set up. */
function startFiles(io: CliIo, program: string): StartFile[] {
  const home = io.env.HOME;
  if (home === undefined || home === '') return [];
  const files: StartFile[] = [];
  const bash = ['.bashrc', '.bash_profile', '.bash_login', '.profile'].map((name) => join(home, name));
  const bashFile = bash.find(existsSync);
  if (bashFile !== undefined) files.push({ shell: 'bash', path: bashFile, isOwn: false });
  const zshFile = join(home, '.zshrc');
  if (existsSync(zshFile)) files.push({ shell: 'zsh', path: zshFile, isOwn: false });
  const fishFolder = join(io.env.XDG_CONFIG_HOME ?? join(home, '.config'), 'fish');
  if (existsSync(fishFolder)) {
    files.push({ shell: 'fish', path: join(fishFolder, 'completions', `${program}.fish`), isOwn: true });
  }
  return files;
}
