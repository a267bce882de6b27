import { describe, expect, it } from 'vitest';
import { type CheckDefinition, EMPTY_CHECK_DEFINITION } from '../../../shared/types/definitions.ts';
import { checkDefinitionProblem, checkKind } from './check-kind.ts';

const define = (fields: Partial<CheckDefinition>): CheckDefinition => ({
  ...EMPTY_CHECK_DEFINITION,
  ...fields,
});

describe('the kind of a check', () => {
  const all = {
    grpc: 'a:1',
    http: 'http://a',
    ttlMs: 1,
    tcp: 'a:1',
    udp: 'a:1',
    h2ping: 'a:1',
    aliasService: 'a',
    scriptArgs: ['true'],
    dockerContainerId: 'c',
  };
  const order = ['grpc', 'http', 'ttl', 'tcp', 'udp', 'h2ping', 'alias', 'docker', 'script'] as const;

  it('is the first of Consul’s order that has its field', () => {
    const fields: Partial<CheckDefinition> = { ...all };
    const kinds: (string | undefined)[] = [];
    for (const key of Object.keys(all)) {
      if (key === 'scriptArgs') break;
      kinds.push(checkKind(define(fields)));
      Reflect.set(fields, key, Reflect.get(EMPTY_CHECK_DEFINITION, key));
    }
    kinds.push(checkKind(define(fields)), checkKind(define({ scriptArgs: ['true'] })));
    expect(kinds).toEqual(order);
  });

  it('is undefined for a definition without any', () => {
    expect(checkKind(define({ name: 'x' }))).toBeUndefined();
  });
});

describe('the soundness of a definition', () => {
  const interval = 'Interval must be > 0 for Script, HTTP, or TCP checks';
  const ttl = 'TTL must be > 0 for TTL checks';
  const cases: readonly [Partial<CheckDefinition>, string | undefined][] = [
    [{}, ttl],
    [{ ttlMs: -5 }, ttl],
    [{ ttlMs: 5 }, undefined],
    [{ http: 'http://a' }, interval],
    [{ http: 'http://a', intervalMs: 1 }, undefined],
    [{ tcp: 'a:1', intervalMs: 0 }, interval],
    [{ udp: 'a:1' }, interval],
    [{ grpc: 'a:1' }, interval],
    [{ h2ping: 'a:1' }, interval],
    [{ scriptArgs: ['true'] }, interval],
    [{ http: 'http://a', intervalMs: 5, ttlMs: 5 }, 'Interval and TTL cannot both be specified'],
    [{ aliasService: 'a' }, undefined],
    [{ aliasNode: 'a', tcp: 'a:1', intervalMs: 5 }, 'Interval cannot be set for Alias checks'],
    [{ aliasService: 'a', ttlMs: 5 }, 'TTL must be not be set for Alias checks'],
    [{ ttlMs: 5, outputMaxSize: -1 }, 'MaxOutputMaxSize must be positive'],
  ];
  it.each(cases)('%o', (fields, expected) => {
    expect(checkDefinitionProblem(define(fields))).toBe(expected);
  });
});
