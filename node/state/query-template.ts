/** Templates of prepared queries: texts with `${…}` that are filled in from the name that was asked for. */

import { PatternError } from '../../shared/filter/pattern.ts';
import { compileGroups } from '../../shared/filter/pattern-groups.ts';
import type {
  PreparedQuery,
  PreparedQueryDefinition,
  QueryService,
} from '../../shared/types/prepared-query.ts';
import { Refusal } from './change.ts';

/** @param name as asked for */
export type RenderTemplate = (name: string) => QueryService;

interface Scope {
  readonly fullName: string;
  readonly prefix: string;
  /** The whole match of the template's pattern and its groups. */
  readonly groups: readonly string[];
}

/** A text, or a part of one that depends on the name. */
type Piece = string | ((scope: Scope) => string);

const ONLY_TYPE = 'name_prefix_match';

/** @throws Refusal saying what is wrong with the template */
export function compileTemplate(query: PreparedQueryDefinition): RenderTemplate {
  const { Name: prefix, Template: template } = query;
  if (template.Type !== ONLY_TYPE) throw new Refusal(`Bad Template.Type '${template.Type}'`);
  const fillIn = serviceOf(query.Service, (text, path) => {
    const pieces = parseText(text, path);
    return (scope: Scope) =>
      pieces.map((piece) => (typeof piece === 'string' ? piece : piece(scope))).join('');
  });
  const groupsOf = template.Regexp === '' ? () => undefined : compileRegexp(template.Regexp);
  return (name) => {
    const service = fillIn({ fullName: name, prefix, groups: groupsOf(name) ?? [] });
    const tags = service.Tags ?? [];
    return { ...service, Tags: template.RemoveEmptyTags ? tags.filter((tag) => tag !== '') : tags };
  };
}

/** The query with the template filled in. */
export function renderedQuery(query: PreparedQuery, render: RenderTemplate, name: string): PreparedQuery {
  return {
    ID: query.ID,
    Name: query.Name,
    Session: query.Session,
    Token: query.Token,
    Template: query.Template,
    Service: render(name),
    DNS: query.DNS,
    CreateIndex: query.CreateIndex,
    ModifyIndex: query.ModifyIndex,
  };
}

function compileRegexp(source: string): (text: string) => readonly string[] | undefined {
  try {
    return compileGroups(source);
  } catch (thrown) {
    if (thrown instanceof PatternError)
      throw new Refusal(`Bad Regexp: error parsing regexp: ${thrown.message}`);
    throw thrown;
  }
}

type Fill = (scope: Scope) => string;

/** Compiles all texts of a service query; the result makes the query of what they give. */
function serviceOf(
  service: QueryService,
  compile: (text: string, path: string) => Fill,
): (scope: Scope) => QueryService {
  const list = (texts: readonly string[] | null, path: string) => {
    const fills = texts?.map((text, i) => compile(text, `${path}[${i}]`));
    return (scope: Scope) => fills?.map((fill) => fill(scope)) ?? null;
  };
  const map = (texts: Readonly<Record<string, string>> | null, path: string) => {
    const fills =
      texts === null
        ? undefined
        : Object.entries(texts).map(([key, text]) => [key, compile(text, `${path}[${key}]`)] as const);
    return (scope: Scope) =>
      fills === undefined ? null : Object.fromEntries(fills.map(([key, fill]) => [key, fill(scope)]));
  };
  const name = compile(service.Service, '.Service');
  const datacenters = list(service.Failover.Datacenters, '.Failover.Datacenters');
  const ignored = list(service.IgnoreCheckIDs, '.IgnoreCheckIDs');
  const near = compile(service.Near, '.Near');
  const tags = list(service.Tags, '.Tags');
  const nodeMeta = map(service.NodeMeta, '.NodeMeta');
  const serviceMeta = map(service.ServiceMeta, '.ServiceMeta');
  return (scope) => ({
    Service: name(scope),
    Failover: { NearestN: service.Failover.NearestN, Datacenters: datacenters(scope) },
    OnlyPassing: service.OnlyPassing,
    IgnoreCheckIDs: ignored(scope),
    Near: near(scope),
    Tags: tags(scope),
    NodeMeta: nodeMeta(scope),
    ServiceMeta: serviceMeta(scope),
    Connect: service.Connect,
  });
}

/** `$${` stands for `${`; everything else between `${` and `}` is an expression. */
function parseText(text: string, path: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf('${', at);
    if (open < 0) return [...pieces, text.slice(at)];
    if (open > at && text[open - 1] === '$') {
      pieces.push(text.slice(at, open - 1), '${');
      at = open + 2;
      continue;
    }
    const close = text.indexOf('}', open);
    if (close < 0) throw badFormat(text, path, 'expected closing brace');
    pieces.push(text.slice(at, open), expression(text.slice(open + 2, close).trim(), text, path));
    at = close + 1;
  }
}

function expression(code: string, text: string, path: string): Piece {
  const variable = VARIABLES.get(code);
  if (variable !== undefined) return variable;
  const group = /^match\s*\(\s*(?:"(-?\d+)"|(-?\d+))\s*\)$/.exec(code);
  if (group !== null) {
    const number = Number(group[1] ?? group[2]);
    return ({ groups }) => groups[number] ?? '';
  }
  const literal = /^"([^"\\$]*)"$/.exec(code);
  if (literal !== null) return literal[1] ?? '';
  if (/^[A-Za-z_][\w.-]*$/.test(code)) throw badEvaluation(text, path, `unknown variable accessed: ${code}`);
  const call = /^([A-Za-z_]\w*)\s*\(/.exec(code);
  if (call !== null && call[1] !== 'match') {
    throw badEvaluation(text, path, `unknown function called: ${call[1]}`);
  }
  throw badFormat(text, path, `cannot understand "${code}"`);
}

const VARIABLES: ReadonlyMap<string, (scope: Scope) => string> = new Map([
  ['name.full', (scope: Scope) => scope.fullName],
  ['name.prefix', (scope: Scope) => scope.prefix],
  [
    'name.suffix',
    ({ fullName, prefix }: Scope) => (fullName.startsWith(prefix) ? fullName.slice(prefix.length) : fullName),
  ],
  // Network segments are not part of open source Consul.
  ['agent.segment', () => ''],
]);

function badFormat(text: string, path: string, problem: string): Refusal {
  return new Refusal(`Bad format '${text}' in Service${path}: ${problem}`);
}

function badEvaluation(text: string, path: string, problem: string): Refusal {
  return new Refusal(`Bad evaluation for '${text}' in Service${path}: ${problem}`);
}
