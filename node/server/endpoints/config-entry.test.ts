import { beforeEach, describe, expect, it } from 'vitest';
import type { ConfigEntryDefinition } from '../../../shared/types/config-entry.ts';
import {
  catalogGatewayServices,
  configEntryApply,
  configEntryGet,
  configEntryList,
  internalGatewayServiceSummary,
} from '../../rpc/config-endpoints.ts';
import { catalogRegister } from '../../rpc/endpoints.ts';
import { Harness, streamOf } from './harness.ts';
import { registration, service } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});

const DEFAULTS = { Kind: 'service-defaults', Name: 'web', Protocol: 'http', MeshGateway: {} } as const;
const put = (entry: ConfigEntryDefinition) => harness.write(configEntryApply, { op: 'upsert', entry });
const get = (name: string) => harness.value(configEntryGet, { kind: 'service-defaults', name });

describe('configuration entries', () => {
  it('come back as they were given, in any case of the name, also from a snapshot', async () => {
    expect(put(DEFAULTS)).toBe(true);
    const text = `{"Kind":"service-defaults","Name":"web","Protocol":"http","MeshGateway":{},"CreateIndex":${harness.index},"ModifyIndex":${harness.index}}`;
    expect(JSON.stringify(get('WEB'))).toBe(text);
    await harness.machine.restore(streamOf(await harness.snapshot()));
    expect(JSON.stringify(get('web'))).toBe(text);
    expect(get('other')).toBeNull();
  });

  it('are listed by kind and deleted by name', () => {
    put(DEFAULTS);
    put({ ...DEFAULTS, Name: 'api' });
    const names = () => harness.value(configEntryList, { kind: 'service-defaults' }).map(({ Name }) => Name);
    expect(names()).toEqual(['api', 'web']);
    const entry = { op: 'delete', kind: 'service-defaults', name: 'WEB' } as const;
    expect(harness.write(configEntryApply, entry)).toBe(true);
    expect(harness.write(configEntryApply, entry)).toBe(true);
    expect(names()).toEqual(['api']);
    expect(harness.value(configEntryList, { kind: '' })).toEqual([]);
  });

  it('change only at the given index', () => {
    const cas = (index: number) => harness.write(configEntryApply, { op: 'cas', entry: DEFAULTS, index });
    expect(cas(3)).toBe(false);
    expect(cas(0)).toBe(true);
    const created = harness.index;
    expect(cas(0)).toBe(false);
    expect(cas(created)).toBe(true);
    expect(get('web')).toMatchObject({ CreateIndex: created, ModifyIndex: harness.index });
  });

  it('are of a known kind and have a name', () => {
    const bogus = { op: 'delete', kind: 'bogus', name: 'x' } as const;
    expect(harness.refusal(configEntryApply, bogus)).toBe('500 invalid config entry kind: bogus');
    const nameless = { op: 'upsert', entry: { ...DEFAULTS, Name: '' } } as const;
    expect(harness.refusal(configEntryApply, nameless)).toBe('500 Name is required');
    expect(() => harness.value(configEntryList, { kind: 'bogus' })).toThrow(
      'invalid config entry kind: bogus',
    );
  });
});

describe('gateways', () => {
  beforeEach(() => {
    for (const name of ['web', 'db', 'consul']) {
      harness.write(catalogRegister, registration('n1', { Service: service(name, name) }));
    }
  });
  const exposed = (gateway: string) => harness.value(catalogGatewayServices, { gateway });

  it('expose what their entry lists', () => {
    put({
      Kind: 'ingress-gateway',
      Name: 'in',
      TLS: { Enabled: false },
      Listeners: [{ Port: 80, Protocol: 'http', Services: [{ Name: 'web', Hosts: ['a.b'] }] }],
    });
    const indexes = { CreateIndex: harness.index, ModifyIndex: harness.index };
    expect(exposed('IN')).toEqual([
      {
        Gateway: { Name: 'in' },
        Service: { Name: 'web' },
        GatewayKind: 'ingress-gateway',
        Port: 80,
        Protocol: 'http',
        Hosts: ['a.b'],
        ...indexes,
      },
    ]);
    expect(exposed('none')).toBeNull();
  });

  it('expose with * everything else but the servers', () => {
    put({
      Kind: 'terminating-gateway',
      Name: 'out',
      Services: [{ Name: '*' }, { Name: 'web', CAFile: '/ca', SNI: '' }],
    });
    const found = exposed('out')?.map(({ Service: { Name: name }, FromWildcard, CAFile }) => ({
      name,
      FromWildcard,
      CAFile,
    }));
    expect(found).toEqual([
      { name: 'db', FromWildcard: true, CAFile: undefined },
      { name: 'web', FromWildcard: undefined, CAFile: '/ca' },
    ]);
    const summaries = harness.value(internalGatewayServiceSummary, { gateway: 'out' });
    expect(summaries.map((summary) => summary.Name)).toEqual(['db', 'web']);
  });
});
