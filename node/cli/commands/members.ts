/** `members`: who is in the pool. */

import { compilePattern } from '../../../shared/filter/pattern.ts';
import type { Member } from '../../../shared/types/v1.ts';
import { clientCommand } from '../client-command.ts';
import { boolFlag, messageOf, optionalTextFlag, textFlag } from '../flag-access.ts';
import { formatTable } from '../table.ts';

const STATUS_TEXT = ['none', 'alive', 'leaving', 'left', 'failed'] as const;

/** No member fits: the only sign of it is the exit code. */
const EXIT_NONE = 2;

export const membersCommand = clientCommand({
  synopsis: 'Lists the members of a Consul cluster',
  usage: 'Usage: consul members [options]\n\n  Outputs the members of a running Consul agent.',
  flags: [
    { name: 'detailed', kind: 'bool', usage: 'Shows all tags of each member.' },
    { name: 'wan', kind: 'bool', usage: 'Shows the WAN pool; only on servers.' },
    {
      name: 'status',
      kind: 'string',
      usage: 'Shows only members whose status matches this regular expression.',
    },
    { name: 'filter', kind: 'string', usage: 'Filter expression to use with the request.' },
    { name: 'segment', kind: 'string', usage: 'Not supported in the open edition.' },
  ],
  takesServerFlags: false,
  async run(client, flags, io) {
    let fitsStatus: (text: string) => boolean;
    try {
      fitsStatus = compilePattern(textFlag(flags, 'status', '.*'));
    } catch (error) {
      io.err(`Failed to compile status regexp: error parsing regexp: ${messageOf(error)}\n`);
      return 1;
    }
    let members: Member[];
    try {
      const pool = boolFlag(flags, 'wan') ? { wan: '1' } : { segment: textFlag(flags, 'segment', '_all') };
      const query = { ...pool, filter: optionalTextFlag(flags, 'filter') };
      members =
        (await client.json<Member[] | null>({ method: 'GET', path: '/v1/agent/members', query })) ?? [];
    } catch (error) {
      io.err(`Error retrieving members: ${messageOf(error)}\n`);
      return 1;
    }
    const shown = members.filter((member) => fitsStatus(statusText(member))).sort(bySegmentAndName);
    if (shown.length === 0) return EXIT_NONE;
    io.out(`${formatTable(boolFlag(flags, 'detailed') ? detailedRows(shown) : standardRows(shown))}\n`);
    return 0;
  },
});

function standardRows(members: readonly Member[]): string[][] {
  const rows = members.map((member) => {
    const { role = '', build = '', vsn = '', dc = '' } = member.Tags;
    const type = role === 'consul' ? 'server' : role === 'node' ? 'client' : 'unknown';
    const version = build === '' ? '< 0.3' : (build.split(':')[0] ?? '');
    return [member.Name, addressOf(member), statusText(member), type, version, vsn, dc, segmentOf(member)];
  });
  return [['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Segment'], ...rows];
}

function detailedRows(members: readonly Member[]): string[][] {
  const rows = members.map((member) => {
    const tags = Object.entries({ ...member.Tags, segment: segmentOf(member) }).map(
      ([key, value]) => `${key}=${value}`,
    );
    return [member.Name, addressOf(member), statusText(member), tags.sort().join(',')];
  });
  return [['Node', 'Address', 'Status', 'Tags'], ...rows];
}

function statusText(member: Member): string {
  return STATUS_TEXT[member.Status] ?? 'none';
}

function addressOf(member: Member): string {
  return `${member.Addr.includes(':') ? `[${member.Addr}]` : member.Addr}:${member.Port}`;
}

/** Servers belong to every segment. */
function segmentOf(member: Member): string {
  return member.Tags.role === 'consul' ? '<all>' : member.Tags.segment || '<default>';
}

function bySegmentAndName(a: Member, b: Member): number {
  const left = `${segmentOf(a)}\0${a.Name}`;
  const right = `${segmentOf(b)}\0${b.Name}`;
  return left < right ? -1 : left > right ? 1 : 0;
}
