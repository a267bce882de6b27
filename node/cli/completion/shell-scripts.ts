/** The lines that make a shell ask this program for candidates, by setting `COMP_LINE`. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** How the program is called: the word that people type, and the words that run it. */
export interface ProgramCall {
  readonly name: string;
  readonly words: readonly string[];
}

/** @param argv `process.argv`: interpreter, script, arguments */
export function programCall(argv: readonly string[]): ProgramCall {
  const [interpreter = 'node', script = ''] = argv;
  const file = script.split('/').at(-1) ?? '';
  // A link such as `proconsul` starts by itself; a script file needs the interpreter in front.
  if (/\.[cm]?[jt]s$/.test(file) || file === '') return { name: 'proconsul', words: [interpreter, script] };
  return { name: file, words: [script] };
}

/** A script to be sourced by the shell, or to be put where it looks for completions. */
export function completionScript(shell: Shell, call: ProgramCall): string {
  const command = call.words.map(quoted).join(' ');
  switch (shell) {
    case 'bash':
      return `complete -C ${quoted(command)} ${call.name}\n`;
    case 'zsh':
      return `autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C ${quoted(command)} ${call.name}\n`;
    case 'fish': {
      const name = `__complete_${call.name.replace(/[^A-Za-z0-9_]/g, '_')}`;
      return (
        `function ${name}\n` +
        '    set -lx COMP_LINE (commandline -cp)\n' +
        '    test -z (commandline -ct)\n' +
        '    and set COMP_LINE "$COMP_LINE "\n' +
        `    ${command}\n` +
        'end\n' +
        `complete -f -c ${call.name} -a "(${name})"\n`
      );
    }
    default:
      return shell satisfies never;
  }
}

/** For a shell: unchanged when nothing in it is special. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
