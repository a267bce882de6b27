/** What operators ask and do: Raft, autopilot, gossip keys, snapshots, profiles. */

import { get, type Operation, post, put, READ, remove } from './operation.ts';
import { anyObject, flag, list, part, text, texts } from './schema.ts';
import { ref } from './schemas.ts';

const KEY = { schema: part({ Key: { ...text, description: '16, 24 or 32 bytes in base64.' } }) };
const KEYRING = '/v1/operator/keyring';
const ARCHIVE = { bytes: 'application/x-gzip' };

const KEYS_AND_SNAPSHOTS: readonly Operation[] = [
  get('operatorKeyringList', KEYRING, 'Gossip keys of all pools.', list(ref('KeyringEntry')), {
    query: ['relay-factor', 'local-only'],
  }),
  post('operatorKeyringInstall', KEYRING, 'Gives a key to all members.', undefined, {
    query: ['relay-factor'],
    body: KEY,
  }),
  put('operatorKeyringUse', KEYRING, 'Makes an installed key the primary one.', undefined, {
    query: ['relay-factor'],
    body: KEY,
  }),
  remove('operatorKeyringRemove', KEYRING, 'Takes a key from all members.', undefined, {
    query: ['relay-factor'],
    body: KEY,
  }),
  {
    ...get('snapshotSave', '/v1/snapshot', 'The whole state as an archive.'),
    query: ['dc', 'stale'],
    answer: ARCHIVE,
  },
  put('snapshotRestore', '/v1/snapshot', 'Replaces the whole state by that of an archive.', undefined, {
    query: ['dc'],
    body: ARCHIVE,
  }),
];

const RAFT: readonly Operation[] = [
  get(
    'operatorRaft',
    '/v1/operator/raft/configuration',
    'The Raft configuration.',
    ref('RaftConfiguration'),
    {
      query: ['dc', 'stale', 'last-index'],
    },
  ),
  remove('operatorRaftRemove', '/v1/operator/raft/peer', 'Takes a server out.', undefined, {
    query: ['dc', 'id', 'address'],
  }),
  post(
    'operatorTransferLeader',
    '/v1/operator/raft/transfer-leader',
    'Makes another server the leader.',
    part({ Success: flag }),
    { query: ['dc', 'id'] },
  ),
  get(
    'operatorAutopilot',
    '/v1/operator/autopilot/configuration',
    'How servers are looked after.',
    ref('AutopilotConfiguration'),
    { query: READ },
  ),
  put(
    'operatorAutopilotSet',
    '/v1/operator/autopilot/configuration',
    'Changes how servers are looked after; `false` if a condition did not hold.',
    flag,
    { query: ['dc', 'cas'], body: { schema: ref('AutopilotRequest') } },
  ),
  get(
    'operatorAutopilotHealth',
    '/v1/operator/autopilot/health',
    'How the servers are.',
    ref('AutopilotHealth'),
    { query: READ, otherwise: { 429: 'Not all are well; the body is the same.' } },
  ),
  get(
    'operatorAutopilotState',
    '/v1/operator/autopilot/state',
    'How the servers are, in detail.',
    anyObject,
    {
      query: READ,
    },
  ),
  get('statusLeader', '/v1/status/leader', 'Address of the leader, empty if there is none.', text, {
    query: ['dc'],
  }),
  get('statusPeers', '/v1/status/peers', 'Addresses of all servers.', texts, { query: ['dc'] }),
];

/** Only with `enable_debug`; POST does what GET does. */
const PROFILES: readonly Operation[] = (
  [
    ['Index', '', 'Names of the profiles.'],
    ['Cmdline', 'cmdline', 'How the agent was started.'],
    ['Profile', 'profile', 'A CPU profile of the next seconds, as V8 writes it.'],
    ['Symbol', 'symbol', 'Not there: it answers 404.'],
    ['Trace', 'trace', 'Not there: it answers 404.'],
  ] as const
).flatMap(([id, name, summary]) =>
  [get, post].map((operation) => ({
    ...operation(`debug${operation === get ? 'Get' : 'Post'}${id}`, `/debug/pprof/${name}`, summary),
    query: name === 'profile' ? (['seconds'] as const) : [],
    answer: { bytes: name === 'profile' ? 'application/json' : 'text/plain' },
    otherwise: { 401: 'Profiles are off.' },
  })),
);

export const OPERATOR_OPERATIONS: readonly Operation[] = [...RAFT, ...KEYS_AND_SNAPSHOTS, ...PROFILES];
