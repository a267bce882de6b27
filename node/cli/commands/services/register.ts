/** `services register`: registers services of files, or one described by flags, with the local agent. */

import { EMPTY_SERVICE_DEFINITION, type ServiceDefinition } from '../../../../shared/types/definitions.ts';
import type { ServiceAddress } from '../../../../shared/types/v1.ts';
import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import { clientCommand } from '../../client-command.ts';
import { intFlag, listFlag, messageOf, pairsFlag, textFlag } from '../../flag-access.ts';
import { registrationBody, servicesFromFiles } from './definition-files.ts';

const OWN_FLAGS: readonly FlagSpec[] = [
  { name: 'address', kind: 'string', usage: "Address of the service. Default: the node's address." },
  { name: 'id', kind: 'string', usage: 'ID of the service to register. Default: its name.' },
  { name: 'kind', kind: 'string', usage: 'The kind of the service, such as "connect-proxy".' },
  {
    name: 'meta',
    kind: 'pairs',
    usage: 'Metadata to set on the service, formatted as key=value. Can be specified multiple times.',
  },
  { name: 'name', kind: 'string', usage: 'Name of the service to register.' },
  { name: 'port', kind: 'int', usage: 'Port of the service to register.' },
  { name: 'tag', kind: 'strings', usage: 'Tag to add to the service. Can be specified multiple times.' },
  {
    name: 'tagged-address',
    kind: 'pairs',
    usage: 'Tagged address to set, formatted as name=address:port. Can be specified multiple times.',
  },
];

export const registerCommand = clientCommand({
  synopsis: 'Register services with the local agent',
  usage: `Usage: consul services register [options] [FILE...]

  Register one or more services using the local agent API. Services can be
  registered from standard Consul agent definition files (HCL or JSON), or
  using flags. The service is registered and the command returns. The caller
  must remember to call "consul services deregister" or a similar API to
  deregister the service when complete.

      $ consul services register web.json
      $ consul services register -name=web -port=80`,
  flags: OWN_FLAGS,
  takesServerFlags: true,
  async run(client, flags, io) {
    const problem = argumentProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    let services: ServiceDefinition[];
    try {
      services = flags.rest.length > 0 ? servicesFromFiles(flags.rest) : [serviceFromFlags(flags)];
    } catch (error) {
      io.err(
        `${error instanceof TaggedAddressError ? 'Invalid Tagged Address' : 'Error'}: ${messageOf(error)}\n`,
      );
      return 1;
    }
    for (const service of services) {
      try {
        const body = JSON.stringify(registrationBody(service));
        await client.expectOk({ method: 'PUT', path: '/v1/agent/service/register', body });
      } catch (error) {
        io.err(`Error registering service ${JSON.stringify(service.name)}: ${messageOf(error)}\n`);
        return 1;
      }
      io.out(`Registered service: ${service.name}\n`);
    }
    return 0;
  },
});

function argumentProblem(flags: ParsedFlags): string | undefined {
  const hasFiles = flags.rest.length > 0;
  if (!hasFiles && !OWN_FLAGS.some(({ name }) => flags.values.has(name))) {
    return 'Service registration requires at least one argument or flags.';
  }
  if (hasFiles && (textFlag(flags, 'id') !== '' || textFlag(flags, 'name') !== '')) {
    return 'Service registration requires arguments or -id, not both.';
  }
  return undefined;
}

class TaggedAddressError extends Error {
  override readonly name = 'TaggedAddressError';
}

function serviceFromFlags(flags: ParsedFlags): ServiceDefinition {
  const tagged = Object.entries(pairsFlag(flags, 'tagged-address'));
  return {
    ...EMPTY_SERVICE_DEFINITION,
    id: textFlag(flags, 'id'),
    name: textFlag(flags, 'name'),
    kind: textFlag(flags, 'kind'),
    address: textFlag(flags, 'address'),
    port: intFlag(flags, 'port') ?? 0,
    tags: listFlag(flags, 'tag'),
    meta: pairsFlag(flags, 'meta'),
    taggedAddresses: Object.fromEntries(tagged.map(([name, text]) => [name, addressOf(text)])),
  };
}

/** `host`, `host:port`, `[v6]:port` or a bare IPv6 address. @throws TaggedAddressError */
function addressOf(text: string): ServiceAddress {
  const isBareV6 = text.split(':').length > 2 && !text.startsWith('[');
  const match = isBareV6 ? null : /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:]*))(?::(?<port>\d+))?$/.exec(text);
  if (!isBareV6 && match === null)
    throw new TaggedAddressError(`${JSON.stringify(text)} is not address:port`);
  const address = match?.groups?.v6 ?? match?.groups?.host ?? text;
  const port = Number(match?.groups?.port ?? 0);
  if (address === '') throw new TaggedAddressError(`${JSON.stringify(text)} has no address`);
  if (port > 65_535) throw new TaggedAddressError(`${JSON.stringify(text)} has an invalid port`);
  return { Address: address, Port: port };
}
