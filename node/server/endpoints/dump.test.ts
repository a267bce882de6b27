import { beforeEach, describe, expect, it } from 'vitest';
import {
  catalogServiceAtAddress,
  internalNodeDump,
  internalNodeInfo,
  internalServiceDump,
  internalServiceSummary,
} from '../../rpc/dump-endpoints.ts';
import { catalogDeregister, catalogRegister } from '../../rpc/endpoints.ts';
import { Harness } from './harness.ts';
import { check, deregistration, registration, service } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
  const register = (...args: Parameters<typeof registration>) =>
    harness.write(catalogRegister, registration(...args));
  register('n2', {
    Service: service('web2', 'web', { Tags: ['b', 'a'], Address: '10.9.0.1' }),
    Checks: [check('node', 'passing'), check('up', 'warning', { ServiceID: 'web2' })],
  });
  register('n1', {
    Service: service('web1', 'web', { Tags: ['b'], Address: '10.9.0.1', Meta: { 'external-source': 'k8s' } }),
    Check: check('up', 'critical', { ServiceID: 'web1' }),
  });
  register('n1', {
    Service: service('p', 'proxy', {
      Kind: 'connect-proxy',
      Proxy: { DestinationServiceName: 'web', MeshGateway: {}, Expose: {} },
    }),
  });
});

describe('dumps', () => {
  it('have every instance with its checks', () => {
    const dump = harness.value(internalServiceDump, { filter: '' });
    expect(dump.map((entry) => `${entry.Node.Node} ${entry.Service.ID} ${entry.Checks.length}`)).toEqual([
      'n1 p 0',
      'n1 web1 1',
      'n2 web2 2',
    ]);
    const filtered = harness.value(internalServiceDump, { filter: 'Node.Node == n2' });
    expect(filtered.map((entry) => entry.Service.ID)).toEqual(['web2']);
  });

  it('have every node with all that is on it, empty lists included', () => {
    harness.write(catalogRegister, registration('n3'));
    const dump = harness.value(internalNodeDump, { filter: '' });
    expect(dump.map((node) => [node.Node, node.Services.length, node.Checks.length])).toEqual([
      ['n1', 2, 1],
      ['n2', 1, 2],
      ['n3', 0, 0],
    ]);
    expect(Object.keys(dump[2] ?? {})).toEqual([
      'ID',
      'Node',
      'Address',
      'TaggedAddresses',
      'Meta',
      'Services',
      'Checks',
    ]);
    const filter = 'Services.Kind == "connect-proxy" and Checks.Status == critical';
    expect(harness.value(internalNodeDump, { filter }).map((node) => node.Node)).toEqual(['n1']);
    expect(harness.value(internalNodeInfo, { node: 'N2' })).toEqual([dump[1]]);
    expect(harness.value(internalNodeInfo, { node: 'n9' })).toEqual([]);
  });

  it('show tags that were not given as null, and filters take them for empty', () => {
    const untagged = {
      Service: service('db', 'db', { Tags: [] }),
      Check: check('up', 'passing', { ServiceID: 'db' }),
    };
    harness.write(catalogRegister, registration('n4', untagged));
    const filter = 'Services.Tags is empty and Services.ID == db and Checks.ServiceTags is empty';
    const [found] = harness.value(internalNodeDump, { filter });
    expect(found).toMatchObject({ Services: [{ Tags: null }], Checks: [{ ServiceTags: null }] });
    expect(harness.value(internalNodeInfo, { node: 'n2' })).toMatchObject([
      { Services: [{ Tags: ['b', 'a'] }], Checks: [{ ServiceTags: null }, { ServiceTags: ['b', 'a'] }] },
    ]);
  });

  it('are summed up by service name', () => {
    expect(JSON.stringify(harness.value(internalServiceSummary, { filter: '' }))).toBe(
      '[{"Kind":"connect-proxy","Name":"proxy","Tags":null,"Nodes":["n1"],"InstanceCount":1,"ProxyFor":["web"],' +
        '"ChecksPassing":0,"ChecksWarning":0,"ChecksCritical":0,"ExternalSources":null,"GatewayConfig":{}},' +
        '{"Name":"web","Tags":["a","b"],"Nodes":["n1","n2"],"InstanceCount":2,' +
        '"ChecksPassing":1,"ChecksWarning":1,"ChecksCritical":1,"ExternalSources":["k8s"],"GatewayConfig":{}}]',
    );
  });
});

describe('a service address', () => {
  const at = (address: string) => harness.value(catalogServiceAtAddress, { address });

  it('belongs to the first instance that has it', () => {
    expect(at('10.9.0.1')).toBe('web');
    expect(at('10.9.0.2')).toBe('');
    expect(at('')).toBe('');
  });

  it('is followed as services come and go', () => {
    const db = service('db', 'db', { Address: '10.9.0.2' });
    harness.write(catalogRegister, registration('n2', { Service: db }));
    expect(at('10.9.0.2')).toBe('db');
    harness.write(catalogDeregister, deregistration('n2', { ServiceID: 'db' }));
    expect(at('10.9.0.2')).toBe('');
  });
});
