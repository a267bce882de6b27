/** `version`: the API level that clients parse, then the product's own version. */

import { CONSUL_API_VERSION } from '../../../shared/types/v1.ts';
import type { Command } from '../command.ts';
import { textFlag } from '../flag-access.ts';
import { PRODUCT_VERSION } from '../product-version.ts';

export const versionCommand: Command = {
  kind: 'command',
  synopsis: 'Prints the Consul version',
  usage: 'Usage: consul version [options]\n\n  Prints the API level and the product version.',
  flags: [{ name: 'format', kind: 'string', usage: 'Output format: "pretty" or "json".' }],
  async run(flags, io) {
    if (textFlag(flags, 'format') === 'json') {
      const version = {
        Version: CONSUL_API_VERSION,
        Revision: '',
        Prerelease: '',
        RPC: { Default: 2, Min: 2, Max: 3 },
        Product: { Name: 'Proconsul', Version: PRODUCT_VERSION },
      };
      io.out(`${JSON.stringify(version, null, 3)}\n`);
      return 0;
    }
    io.out(
      `Consul v${CONSUL_API_VERSION}+proconsul.${PRODUCT_VERSION}\n` +
        'Protocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol >2 when speaking to compatible agents)\n\n',
    );
    return 0;
  },
};
