/** `validate`: checks configuration files without starting anything. */

import { buildConfig, realHostFacts } from '../../config/build.ts';
import { mergeTrees, type Tree } from '../../config/decode.ts';
import { readConfigPath } from '../../config/load.ts';
import type { Command } from '../command.ts';
import { boolFlag, messageOf, textFlag } from '../flag-access.ts';

export const validateCommand: Command = {
  kind: 'command',
  synopsis: 'Validate config files/directories',
  usage:
    'Usage: consul validate [options] FILE_OR_DIRECTORY...\n\n  Performs a thorough sanity test on configuration files and directories.',
  flags: [
    {
      name: 'config-format',
      kind: 'string',
      usage: 'Config files are in this format irrespective of their extension. Must be "hcl" or "json".',
    },
    { name: 'quiet', kind: 'bool', usage: 'Only the exit code tells.' },
  ],
  async run(flags, io) {
    const format = textFlag(flags, 'config-format');
    if (format !== '' && format !== 'hcl' && format !== 'json') {
      io.err("-config-format must be either 'hcl' or 'json'\n");
      return 1;
    }
    if (flags.rest.length === 0) {
      io.err('Must specify at least one config file or directory\n');
      return 1;
    }
    try {
      const warnings: string[] = [];
      const trees = flags.rest.flatMap((path) =>
        readConfigPath(path, format === '' ? undefined : format, warnings),
      );
      const tree = trees.reduce<Tree>(mergeTrees, {});
      const config = buildConfig({ tree, isDev: false, warnings }, realHostFacts());
      if (!boolFlag(flags, 'quiet')) {
        for (const warning of config.warnings) io.err(`${warning}\n`);
        io.out('Configuration is valid!\n');
      }
      return 0;
    } catch (error) {
      io.err(`Config validation failed: ${messageOf(error)}\n`);
      return 1;
    }
  },
};
