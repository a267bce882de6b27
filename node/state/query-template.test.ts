import { describe, expect, it } from 'vitest';
import type { PreparedQueryDefinition, QueryService } from '../../shared/types/prepared-query.ts';
import { compileTemplate } from './query-template.ts';

/** `#{x}` stands for the template language's own braces, which linters take for ours. */
const written = (text: string) => text.replaceAll('#{', '\u0024{');

function template(
  service: Partial<QueryService>,
  rest: Partial<PreparedQueryDefinition['Template']> = {},
): PreparedQueryDefinition {
  return {
    ID: '',
    Name: 'geo-',
    Session: '',
    Token: '',
    Template: { Type: 'name_prefix_match', Regexp: '', RemoveEmptyTags: false, ...rest },
    Service: {
      Service: 'web',
      Failover: { NearestN: 1, Datacenters: null },
      OnlyPassing: true,
      IgnoreCheckIDs: null,
      Near: '',
      Tags: null,
      NodeMeta: null,
      ServiceMeta: null,
      Connect: true,
      ...service,
    },
    DNS: { TTL: '' },
  };
}

const rendered = (text: string, name: string, regexp = '') =>
  compileTemplate(template({ Service: written(text) }, { Regexp: regexp }))(name).Service;

describe('a template', () => {
  it.each([
    ['plain', 'geo-x', 'plain'],
    ['#{name.full}', 'geo-x', 'geo-x'],
    ['<#{name.prefix}|#{ name.suffix }>', 'geo-x', '<geo-|x>'],
    ['#{name.suffix}', 'GEO-x', 'GEO-x'],
    ['a#{agent.segment}b', 'geo-x', 'ab'],
    ['$#{name.full} $x $', 'geo-x', '\u0024{name.full} $x $'],
    ['#{"text"}', 'geo-x', 'text'],
  ])('%s for %s is %s', (text, name, expected) => {
    expect(rendered(text, name)).toBe(expected);
  });

  it('fills in what the groups of its pattern match', () => {
    const regexp = '^geo-(.*?)-([^-]+)$';
    expect(rendered('#{match(1)}.#{match(2)}', 'geo-a-b-master', regexp)).toBe('a-b.master');
    expect(rendered('#{match(0)}', 'geo-a-b', regexp)).toBe('geo-a-b');
    expect(rendered('<#{match(9)}#{match(-1)}>', 'geo-a-b', regexp)).toBe('<>');
    expect(rendered('<#{match(1)}>', 'other', regexp)).toBe('<>');
  });

  it('fills in every text of the service, and leaves the rest alone', () => {
    const text = written('#{name.suffix}');
    const render = compileTemplate(
      template({
        Failover: { NearestN: 2, Datacenters: ['dc1', text] },
        IgnoreCheckIDs: [text],
        Near: text,
        Tags: [text, 'y'],
        NodeMeta: { k: text },
        ServiceMeta: { k: text },
      }),
    );
    expect(render('geo-x')).toEqual({
      Service: 'web',
      Failover: { NearestN: 2, Datacenters: ['dc1', 'x'] },
      OnlyPassing: true,
      IgnoreCheckIDs: ['x'],
      Near: 'x',
      Tags: ['x', 'y'],
      NodeMeta: { k: 'x' },
      ServiceMeta: { k: 'x' },
      Connect: true,
    });
  });

  it('has a list of tags even when none was given, without empty ones if so wished', () => {
    expect(compileTemplate(template({}))('geo-').Tags).toEqual([]);
    const tags = { Tags: [written('#{name.suffix}'), 'y'] };
    expect(compileTemplate(template(tags))('geo-').Tags).toEqual(['', 'y']);
    expect(compileTemplate(template(tags, { RemoveEmptyTags: true }))('geo-').Tags).toEqual(['y']);
  });

  it.each<[Partial<QueryService>, Partial<PreparedQueryDefinition['Template']>, string]>([
    [{}, { Type: 'zz' }, "Bad Template.Type 'zz'"],
    [{}, { Regexp: '(' }, 'Bad Regexp: error parsing regexp: missing closing ): `(`'],
    [{ Service: '#{name.full' }, {}, "Bad format '#{name.full' in Service.Service: expected closing brace"],
    [{ Service: '#{}' }, {}, 'Bad format \'#{}\' in Service.Service: cannot understand ""'],
    [
      { Tags: ['x', '#{nope}'] },
      {},
      "Bad evaluation for '#{nope}' in Service.Tags[1]: unknown variable accessed: nope",
    ],
    [
      { NodeMeta: { k: '#{f(1)}' } },
      {},
      "Bad evaluation for '#{f(1)}' in Service.NodeMeta[k]: unknown function called: f",
    ],
    [{ Near: '#{match(x)}' }, {}, 'Bad format \'#{match(x)}\' in Service.Near: cannot understand "match(x)"'],
  ])('with %j %j is refused: %s', (service, rest, text) => {
    const query = JSON.parse(written(JSON.stringify(template(service, rest))));
    expect(() => compileTemplate(query)).toThrow(written(text));
  });
});
