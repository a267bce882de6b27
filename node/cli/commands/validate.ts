/** `validate`: checks configuration files without starting anything. */

import { buildConfig, realHostFacts } from '../../config/build.ts';
import { locationLines } from '../../config/config-error.ts';
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
    {
      name: 'locations',
      kind: 'bool',
      usage:
        'Say in which file, line and column the keys of an error stand. Always so when standard error is a terminal.',
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
      const sources = flags.rest.flatMap((path) =>
        readConfigPath(path, format === '' ? undefined : format, warnings),
      );
      const tree = sources.map((source) => source.tree).reduce<Tree>(mergeTrees, {});
      const config = buildConfig({ tree, isDev: false, sources, warnings }, realHostFacts());
      if (!boolFlag(flags, 'quiet')) {
        for (const warning of config.warnings) io.err(`${warning}\n`);
        io.out('Configuration is valid!\n');
      }
      return 0;
    } catch (error) {
      io.err(`Config validation failed: ${messageOf(error)}\n`);
      // Scripts compare what Consul writes to the letter; people want to know where.
      if (io.isErrTerminal === true || boolFlag(flags, 'locations')) io.err(locationLines(error));
      return 1;
    }
  },
};
