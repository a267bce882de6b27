/** `completion`: prints what a shell needs to complete commands and flags of this program. */

import type { Command, CommandGroup } from '../command.ts';
import { completionScript, programCall, SHELLS, type Shell } from '../completion/shell-scripts.ts';

export const completionCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Prints the completion script of a shell',
  usage: `Usage: consul completion <shell>

  Prints a script that makes the shell complete commands and flags. For example

      $ source <(proconsul completion bash)
      $ proconsul completion fish > ~/.config/fish/completions/proconsul.fish

  "proconsul -autocomplete-install" adds it to the start files of your shells.`,
  commands: Object.fromEntries(SHELLS.map((shell) => [shell, scriptCommand(shell)])),
};

function scriptCommand(shell: Shell): Command {
  return {
    kind: 'command',
    synopsis: `Prints the completion script of ${shell}`,
    usage: `Usage: consul completion ${shell}`,
    flags: [],
    async run(_flags, io) {
      io.out(completionScript(shell, programCall(process.argv)));
      return 0;
    },
  };
}
