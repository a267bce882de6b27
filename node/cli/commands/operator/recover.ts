/** `operator raft recover`: makes a stopped server start with another membership, after a quorum was lost for good. */

import { readFile } from 'node:fs/promises';
import type { FileReport, RaftPeer, RecoveryOutcome, WantedPeers } from '../../../agent/offline/reports.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import type { Command } from '../../command.ts';
import { boolFlag, messageOf, optionalTextFlag, textFlag } from '../../flag-access.ts';
import { formatTable } from '../../table.ts';
import { defectLine } from './storage.ts';

export const recoverCommand: Command = {
  kind: 'command',
  synopsis: 'Recover a stopped server after a quorum was lost for good',
  usage: `Usage: consul operator raft recover -data-dir=PATH [options]

  For the case that so many servers are lost for good that the rest have no
  quorum. Looks at the data directory of a server that is stopped, says what
  would change, and leaves a raft/peers.json that the server takes up at its
  next start. Refuses while an agent uses the directory, and when the log or a
  snapshot is damaged.

  With one survivor, no more is needed than its data directory: it becomes a
  cluster of its own, which new servers join. With several survivors, run this
  on each of them with the same -peers file, and start them all. Choose
  survivors by the highest last term, then the highest last index: what only
  lost servers had is gone.

      $ consul operator raft recover -data-dir=/var/lib/consul -dry-run
      $ consul operator raft recover -data-dir=/var/lib/consul
      $ consul operator raft recover -data-dir=/var/lib/consul -peers=peers.json`,
  flags: [
    { name: 'data-dir', kind: 'string', usage: 'The data directory of the stopped server.' },
    {
      name: 'id',
      kind: 'string',
      usage: 'The ID of the server that is to be alone in the cluster. Default: that of the data directory.',
    },
    {
      name: 'address',
      kind: 'string',
      usage: 'The ip:port of its server RPC listener. Default: the one that the log knows.',
    },
    { name: 'peers', kind: 'string', usage: 'A file in the form of peers.json that names all survivors.' },
    { name: 'dry-run', kind: 'bool', usage: 'Only say what would be done.' },
  ],
  async run(flags, io) {
    const problem = flagProblem(flags);
    if (problem !== undefined) {
      io.err(`Error recovering: ${problem}\n`);
      return 1;
    }
    const { DamagedDataError, recoverRaft } = await import('../../../agent/offline/raft-recovery.ts');
    const dataDir = textFlag(flags, 'data-dir');
    const isDryRun = boolFlag(flags, 'dry-run');
    try {
      const outcome = await recoverRaft({ dataDir, wanted: await wantedPeers(flags), isDryRun });
      io.out(describe(dataDir, outcome, isDryRun));
      return 0;
    } catch (error) {
      io.err(`Error recovering: ${messageOf(error)}\n`);
      if (error instanceof DamagedDataError) io.err(damageText(error.files));
      return 1;
    }
  },
};

function flagProblem(flags: ParsedFlags): string | undefined {
  if (textFlag(flags, 'data-dir') === '') return 'must give the data directory with -data-dir';
  const isAlone = textFlag(flags, 'id') !== '' || textFlag(flags, 'address') !== '';
  if (isAlone && textFlag(flags, 'peers') !== '') return 'cannot give both -peers and -id or -address';
  return undefined;
}

async function wantedPeers(flags: ParsedFlags): Promise<WantedPeers> {
  const path = optionalTextFlag(flags, 'peers');
  if (path !== undefined) return { kind: 'file', text: await readFile(path, 'utf8') };
  return { kind: 'alone', id: optionalTextFlag(flags, 'id'), address: optionalTextFlag(flags, 'address') };
}

function damageText(files: readonly FileReport[]): string {
  const lines = files.flatMap((file) => file.defects.map((defect) => `  ${defectLine(file.path, defect)}\n`));
  return `${lines.join('')}
Nothing was changed. Recover from another survivor if there is one and let this
server join it afterwards, with its raft directory and node-id file moved away.
Otherwise restore the damaged files from a copy, or start a new cluster from a
snapshot archive (consul snapshot restore).
`;
}

function describe(dataDir: string, { plan, repairable, self }: RecoveryOutcome, isDryRun: boolean): string {
  const { before } = plan;
  const snapshot = before.snapshot?.meta;
  const facts = [
    ['Data directory', dataDir],
    ['Server', self],
    ['Last index', String(before.lastIndex)],
    ['Last term', String(before.lastTerm)],
    ['Committed at least to', String(before.commitIndex)],
    ['Snapshot', snapshot === undefined ? 'none' : `index ${snapshot.index}, term ${snapshot.term}`],
  ].map(([name, value]) => `${`${name}:`.padEnd(23)}${value}\n`);
  return [
    ...facts,
    `\nMembership found, of index ${before.configuration.index}:\n${peerTable(before.configuration.peers)}`,
    `\nMembership after the next start:\n${peerTable(plan.peers)}\n`,
    ...plan.dropped.map(
      ({ address, id }) => `Dropped: server ${id} at ${address}. It must not come back with its old data.\n`,
    ),
    ...plan.added.map(({ address, id }) => `Added: server ${id} at ${address}.\n`),
    `Kept: everything up to index ${before.lastIndex}${uncommittedText(plan.uncommitted)}.\n`,
    ...repairable.flatMap((file) => file.defects.map((defect) => `${defectLine(file.path, defect)}\n`)),
    `\n${isDryRun ? 'Dry run: nothing was changed.' : nextStep(dataDir, plan.peers)}\n`,
  ].join('');
}

function uncommittedText(uncommitted: number): string {
  if (uncommitted === 0) return '';
  return `; its last ${uncommitted === 1 ? 'entry' : `${uncommitted} entries`}, not known to be committed, will be`;
}

function nextStep(dataDir: string, peers: readonly RaftPeer[]): string {
  const others =
    peers.length > 1
      ? ' Do the same on the other servers named above, then start them all.'
      : ' Start it now.';
  return `Wrote ${dataDir}/raft/peers.json: the server takes it up at its next start and deletes it.${others}`;
}

function peerTable(peers: readonly RaftPeer[]): string {
  const rows = peers.map(({ address, id, isVoter }) => [id, address, String(isVoter)]);
  return `${formatTable([['ID', 'Address', 'Voter'], ...rows])}\n`;
}
