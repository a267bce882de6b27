/** `operator storage`: verifies a data directory while its agent is stopped. */

import type { FileReport, Soundness, StorageCheck } from '../../../agent/offline/reports.ts';
import type { Command, CommandGroup } from '../../command.ts';
import { messageOf, textFlag } from '../../flag-access.ts';
import { formatTable } from '../../table.ts';

/** Exit codes, the worst of all files. Also used when there is nothing that could be checked: `damaged`. */
const EXIT: Readonly<Record<Soundness, number>> = { sound: 0, repairable: 1, damaged: 2 };
const VERDICT: Readonly<Record<Soundness, string>> = {
  sound: 'sound',
  repairable: 'sound but for what the next start repairs by itself; nothing that was acknowledged is lost',
  damaged: 'DAMAGED',
};
const NEXT_STEP = `
If raft files are damaged and the other servers have a quorum, move the raft
directory and the node-id file of this server away and start it: it joins as a
new server and gets everything from the leader. With its old node-id it would
vote for a log that it no longer has. If the others have no quorum, restore the
damaged files from a copy, or the cluster from a snapshot archive (consul
snapshot restore). Other damaged files concern this agent alone: restore or
delete them.
`;
const MIB = 1024 * 1024;
/** Below this a progress display would only flicker. */
const PROGRESS_FROM_BYTES = 64 * MIB;

const check: Command = {
  kind: 'command',
  synopsis: 'Verify the data directory of a stopped agent',
  usage: `Usage: consul operator storage check -data-dir=PATH [options]

  Reads every file of an agent's data directory and says which are damaged and
  where. Nothing is changed. A server's log and snapshots are read whole, with
  every checksum. Best used while the agent is stopped: what a running one is
  writing may look torn.

  Exits 0 when all is sound, 1 when there is something that the next start
  repairs by itself (such as the torn end of a log after a crash), and 2 when
  something is damaged or there is no data directory.

      $ consul operator storage check -data-dir=/var/lib/consul`,
  flags: [
    { name: 'data-dir', kind: 'string', usage: 'The data directory to verify.' },
    { name: 'format', kind: 'string', usage: 'Output format: "pretty" or "json". The default is "pretty".' },
  ],
  async run(flags, io) {
    const dataDir = textFlag(flags, 'data-dir', flags.rest[0]);
    const format = textFlag(flags, 'format', 'pretty');
    if (dataDir === '') {
      io.err('Must give a data directory with -data-dir\n');
      return EXIT.damaged;
    }
    if (format !== 'pretty' && format !== 'json') {
      io.err(`Invalid format ${JSON.stringify(format)}: must be "pretty" or "json"\n`);
      return EXIT.damaged;
    }
    try {
      const { checkStorage } = await import('../../../agent/offline/storage-check.ts');
      const found = await checkStorage({ dataDir, onProgress: progressTo(io.err) });
      io.out(format === 'json' ? `${JSON.stringify(asJson(found), null, 4)}\n` : asText(found));
      return EXIT[found.soundness];
    } catch (error) {
      io.err(`Error checking storage: ${messageOf(error)}\n`);
      return EXIT.damaged;
    }
  },
};

/** One line for each tenth, on standard error so that the report can be piped. */
function progressTo(write: (text: string) => void): (read: number, total: number) => void {
  let tenths = 0;
  return (read, total) => {
    const now = Math.floor((read / Math.max(1, total)) * 10);
    if (total < PROGRESS_FROM_BYTES || now <= tenths) return;
    tenths = now;
    write(`checked ${Math.round(read / MIB)} of ${Math.round(total / MIB)} MiB\n`);
  };
}

function asText({ files, isInUse, path, soundness }: StorageCheck): string {
  const rows = files.map((file) => [file.path, String(file.bytes), statusOf(file), file.kind, file.detail]);
  const defects = files.flatMap((file) => file.defects.map((defect) => defectLine(file.path, defect)));
  return [
    `${formatTable([['File', 'Bytes', 'Status', 'Kind', 'Holds'], ...rows])}\n`,
    defects.length === 0 ? '' : `\n${defects.join('\n')}\n`,
    isInUse ? '\nA running agent uses this directory: what it is writing now may look torn.\n' : '',
    `\n${path}: ${VERDICT[soundness]}\n`,
    soundness === 'damaged' ? NEXT_STEP : '',
  ].join('');
}

function statusOf({ defects }: FileReport): Soundness {
  if (defects.some(({ severity }) => severity === 'damaged')) return 'damaged';
  return defects.length > 0 ? 'repairable' : 'sound';
}

/** `raft/log-….wal: damaged at offset 1234: checksum does not match` */
export function defectLine(path: string, { offset, severity, what }: FileReport['defects'][number]): string {
  return `${path}: ${severity}${offset === undefined ? '' : ` at offset ${offset}`}: ${what}`;
}

function asJson({ files, isInUse, path, soundness }: StorageCheck): unknown {
  return {
    Path: path,
    Status: soundness,
    InUse: isInUse,
    Files: files.map((file) => ({
      Path: file.path,
      Kind: file.kind,
      Bytes: file.bytes,
      Status: statusOf(file),
      Detail: file.detail,
      Defects: file.defects.map(({ offset = null, severity, what }) => ({
        Status: severity,
        Offset: offset,
        What: what,
      })),
    })),
  };
}

export const storageCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Tools for the data directory of a stopped agent',
  usage: `Usage: consul operator storage <subcommand> [options]

  Works on files alone: no agent is asked.`,
  commands: { check },
};
