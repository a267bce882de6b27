import { describe, expect, test } from 'vitest';
import type { HealthEntry } from '../../shared/types/v1.ts';
import { type Answer, textAnswer } from '../exchange/exchange.ts';
import { createServiceDiscovery } from './service-discovery.ts';
import { targetsOf } from './targets.ts';

/** What the test needs of an entry; the rest of its many fields plays no part here. */
function entry(changes: {
  node?: object;
  service?: object;
  checks?: readonly { CheckID: string; Status: string }[];
}): HealthEntry {
  return {
    Node: {
      Node: 'n1',
      Address: '10.0.0.1',
      Datacenter: 'dc1',
      TaggedAddresses: null,
      Meta: null,
      ...changes.node,
    },
    Service: { ID: 'web-1', Service: 'web', Tags: [], Address: '', Port: 80, Meta: null, ...changes.service },
    Checks: changes.checks ?? [],
  } as unknown as HealthEntry;
}

const only = (changes: Parameters<typeof entry>[0], separator = ',') =>
  targetsOf('web', [entry(changes)], '', separator)[0];

describe('labels', () => {
  test('are those of consul_sd_configs', () => {
    const full = entry({
      node: { TaggedAddresses: { lan: '10.0.0.1', 'wan-v4': '192.0.2.1' }, Meta: { 'rack.id': 'r1' } },
      service: { Tags: ['a', 'b'], Address: '10.1.1.1', Meta: { 'team/x': 'core' } },
      checks: [{ CheckID: 'c', Status: 'passing' }],
    });
    expect(targetsOf('web', [full], 'dc7', ',')).toEqual([
      {
        targets: ['10.1.1.1:80'],
        labels: {
          __meta_consul_address: '10.0.0.1',
          __meta_consul_dc: 'dc7',
          __meta_consul_health: 'passing',
          __meta_consul_metadata_rack_id: 'r1',
          __meta_consul_node: 'n1',
          __meta_consul_service: 'web',
          __meta_consul_service_address: '10.1.1.1',
          __meta_consul_service_id: 'web-1',
          __meta_consul_service_metadata_team_x: 'core',
          __meta_consul_service_port: '80',
          __meta_consul_tagged_address_lan: '10.0.0.1',
          __meta_consul_tagged_address_wan_v4: '192.0.2.1',
          __meta_consul_tags: ',a,b,',
        },
      },
    ]);
  });

  test('fall back to the node’s address, IPv6 in brackets', () => {
    expect(only({})?.targets).toEqual(['10.0.0.1:80']);
    expect(only({ service: { Address: 'fd00::1' } })?.targets).toEqual(['[fd00::1]:80']);
  });

  test('tags stand between separators, also when there are none', () => {
    expect(only({ service: { Tags: ['a'] } }, ';')?.labels.__meta_consul_tags).toBe(';a;');
    expect(only({})?.labels.__meta_consul_tags).toBe(',,');
  });

  test.each([
    [[], 'passing'],
    [['passing', 'warning'], 'warning'],
    [['warning', 'critical', 'passing'], 'critical'],
  ])('health of %j is %s', (statuses, health) => {
    const checks = statuses.map((Status, i) => ({ CheckID: `c${i}`, Status }));
    expect(only({ checks })?.labels.__meta_consul_health).toBe(health);
    const maintenance = [...checks, { CheckID: '_service_maintenance:web-1', Status: 'critical' }];
    expect(only({ checks: maintenance })?.labels.__meta_consul_health).toBe('maintenance');
  });
});

/** Agents with these services, one instance each. */
function setUp(services: Readonly<Record<string, readonly string[]>>) {
  const asked: string[] = [];
  const bodies = new Map<string, Uint8Array>();
  const answer = (target: string): Answer => {
    asked.push(target);
    const [path = ''] = target.split('?');
    const name = decodeURIComponent(path.split('/').at(-1) ?? '');
    const value =
      path === '/v1/catalog/services' ? services : [entry({ service: { Service: name, ID: name } })];
    const body = bodies.get(target) ?? new TextEncoder().encode(JSON.stringify(value));
    bodies.set(target, body);
    return { status: 200, headers: [], body };
  };
  let refusal: Answer | undefined;
  const discover = createServiceDiscovery(async (target) => refusal ?? answer(target));
  const get = async (query: string, method = 'GET') => {
    const { status, body } = await discover({ method, target: `/v1/prometheus/sd?${query}`, headers: [] });
    if (!(body instanceof Uint8Array)) throw new Error('a stream');
    const text = new TextDecoder().decode(body);
    return {
      status,
      groups: status === 200 ? (JSON.parse(text) as { labels: Record<string, string> }[]) : [],
      text,
    };
  };
  const refuse = (given: Answer) => {
    refusal = given;
  };
  return { asked, get, refuse };
}

const servicesIn = (groups: readonly { labels: Record<string, string> }[]) =>
  groups.map(({ labels }) => labels.__meta_consul_service);

describe('which services', () => {
  const services = { web: ['a', 'b'], db: ['a'], 'über/x': [] };

  test('all, or those named, in order', async () => {
    const { get, asked } = setUp(services);
    expect(servicesIn((await get('')).groups)).toEqual(['db', 'web', 'über/x']);
    expect(asked).toContain('/v1/health/service/%C3%BCber%2Fx?stale');
    expect(servicesIn((await get('service=web&service=db&service=web')).groups)).toEqual(['db', 'web']);
  });

  test('with all tags, in another datacenter, on nodes with metadata', async () => {
    const { get, asked } = setUp(services);
    const { groups } = await get('tag=a&tag=b&dc=dc2&node_meta=rack:r1&passing');
    expect(servicesIn(groups)).toEqual(['web']);
    expect(groups[0]?.labels.__meta_consul_dc).toBe('dc2');
    expect(asked).toEqual([
      '/v1/catalog/services?stale&dc=dc2&node-meta=rack%3Ar1',
      '/v1/health/service/web?stale&dc=dc2&node-meta=rack%3Ar1&tag=a&tag=b&passing',
    ]);
  });

  test('an answer that says no is handed on, so that Prometheus keeps what it has', async () => {
    const { get, refuse } = setUp(services);
    refuse(textAnswer(403, 'Permission denied'));
    expect(await get('')).toMatchObject({ status: 403, text: 'Permission denied' });
    expect((await get('', 'PUT')).status).toBe(405);
  });

  test('a thousand are put together in order', async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`s${i}`, []]));
    const { get } = setUp(many);
    for (let i = 0; i < 2; i++) expect(servicesIn((await get('')).groups)).toEqual(Object.keys(many).sort());
  });
});
