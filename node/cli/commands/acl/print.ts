/** ACL objects as text for people, in Consul's layout. */

import { renderJson } from '../../../../shared/json.ts';
import { goTimeText } from '../../go-time.ts';
import type { AuthMethod, BindingRule, Grants, Indexed, Policy, Role, Token } from './objects.ts';

/** How an object and a list of such objects are shown. Both end where Consul's text does, blank lines included. */
export interface Printer<T> {
  readonly one: (object: T, showsMeta: boolean) => string;
  readonly many: (objects: readonly T[], showsMeta: boolean) => string;
}

type Row = readonly [name: string, value: string];

export const tokenPrinter: Printer<Token> = {
  one: (token, showsMeta) => `${tokenText(token, showsMeta, false)}\n`,
  many: (tokens, showsMeta) => tokens.map((token) => `${tokenText(token, showsMeta, true)}\n`).join(''),
};

export const policyPrinter: Printer<Policy> = {
  one(policy, showsMeta) {
    const rows: Row[] = [['ID', policy.ID], ['Name', policy.Name], ...policyRows(policy, showsMeta)];
    return `${columns(rows, 14)}Rules:\n${policy.Rules ?? ''}\n`;
  },
  many: (policies, showsMeta) =>
    entries(policies, (policy) => [
      policy.Name,
      columns([['ID', policy.ID], ...policyRows(policy, showsMeta)], 14),
    ]),
};

export const rolePrinter: Printer<Role> = {
  one(role, showsMeta) {
    const rows: Row[] = [['ID', role.ID], ['Name', role.Name], ...roleRows(role, showsMeta)];
    return `${columns(rows, 14)}${grantsText(role)}\n`;
  },
  many: (roles, showsMeta) =>
    entries(roles, (role) => [
      role.Name,
      columns([['ID', role.ID], ...roleRows(role, showsMeta)], 14) + grantsText(role),
    ]),
};

export const authMethodPrinter: Printer<AuthMethod> = {
  one(method, showsMeta) {
    const rows: Row[] = [
      ['Name', method.Name],
      ['Type', method.Type],
      ...optional('Display Name', method.DisplayName),
      ['Description', method.Description ?? ''],
      ...optional('Max Token TTL', method.MaxTokenTTL),
      ...optional('Token Locality', method.TokenLocality),
      ...indexRows(method, showsMeta),
    ];
    return `${columns(rows, 16)}Config:\n${JSON.stringify(method.Config ?? {}, null, 2)}\n`;
  },
  many: (methods, showsMeta) =>
    entries(methods, (method) => [
      method.Name,
      columns(
        [
          ['Type', method.Type],
          ...optional('Display Name', method.DisplayName),
          ['Description', method.Description ?? ''],
          ...indexRows(method, showsMeta),
        ],
        14,
      ),
    ]),
};

export const bindingRulePrinter: Printer<BindingRule> = {
  one: (rule, showsMeta) => columns([['ID', rule.ID], ...bindingRuleRows(rule, showsMeta)], 14),
  many: (rules, showsMeta) =>
    entries(rules, (rule) => [rule.ID, columns(bindingRuleRows(rule, showsMeta), 14)]),
};

/** The API's object with four blanks of indent. */
export function jsonText(object: unknown): string {
  return renderJson(object, true);
}

function tokenText(token: Token, showsMeta: boolean, isListed: boolean): string {
  const rows: Row[] = [
    ['AccessorID', token.AccessorID],
    ...(isListed ? [] : [['SecretID', token.SecretID ?? ''] as const]),
    ['Description', token.Description],
    ['Local', String(token.Local)],
    ...optional('Auth Method', token.AuthMethod),
    ['Create Time', goTimeText(token.CreateTime)],
    ...optional('Expiration Time', token.ExpirationTime && goTimeText(token.ExpirationTime)),
    ...(isListed ? [['Legacy', String(token.Legacy === true)] as const] : []),
    ...(showsMeta ? [['Hash', hexOf(token.Hash)] as const] : []),
    ...indexRows(token, showsMeta),
  ];
  const rules = token.Rules === undefined || token.Rules === '' ? '' : `Rules:\n${token.Rules}\n`;
  return columns(rows, 18) + grantsText(token) + rules;
}

function policyRows(policy: Policy, showsMeta: boolean): Row[] {
  return [
    ['Description', policy.Description],
    ['Datacenters', (policy.Datacenters ?? []).join(', ')],
    ...(showsMeta ? [['Hash', hexOf(policy.Hash)] as const] : []),
    ...indexRows(policy, showsMeta),
  ];
}

function roleRows(role: Role, showsMeta: boolean): Row[] {
  return [
    ['Description', role.Description],
    ...(showsMeta ? [['Hash', hexOf(role.Hash)] as const] : []),
    ...indexRows(role, showsMeta),
  ];
}

function bindingRuleRows(rule: BindingRule, showsMeta: boolean): Row[] {
  return [
    ['Description', rule.Description],
    ['AuthMethod', rule.AuthMethod],
    ['BindType', rule.BindType],
    ['BindName', rule.BindName],
    ['Selector', rule.Selector],
    ...indexRows(rule, showsMeta),
  ];
}

function indexRows(object: Indexed, showsMeta: boolean): Row[] {
  if (!showsMeta) return [];
  return [
    ['Create Index', String(object.CreateIndex)],
    ['Modify Index', String(object.ModifyIndex)],
  ];
}

function grantsText(grants: Grants): string {
  const link = ({ ID = '', Name = '' }: { ID?: string; Name?: string }) => `${ID} - ${Name}`;
  return (
    section('Policies', (grants.Policies ?? []).map(link)) +
    section('Roles', (grants.Roles ?? []).map(link)) +
    section(
      'Service Identities',
      (grants.ServiceIdentities ?? []).map(({ ServiceName, Datacenters = [] }) => {
        const where = Datacenters.length === 0 ? 'all' : Datacenters.join(', ');
        return `${ServiceName} (Datacenters: ${where})`;
      }),
    ) +
    section(
      'Node Identities',
      (grants.NodeIdentities ?? []).map(
        ({ NodeName, Datacenter }) => `${NodeName} (Datacenter: ${Datacenter})`,
      ),
    )
  );
}

function section(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : `${title}:\n${items.map((item) => `   ${item}\n`).join('')}`;
}

/** `Name:` padded to `width`, then the value, one row a line. */
function columns(rows: readonly Row[], width: number): string {
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}\n`).join('');
}

/** A heading and an indented block for each, one blank line after the last; nothing for none. */
function entries<T>(
  objects: readonly T[],
  text: (object: T) => readonly [heading: string, block: string],
): string {
  if (objects.length === 0) return '';
  const blocks = objects.map((object) => {
    const [heading, block] = text(object);
    return `${heading}:\n${block.replace(/^(?=.)/gm, '   ')}`;
  });
  return `${blocks.join('')}\n`;
}

function optional(name: string, value: string | undefined): Row[] {
  return value === undefined || value === '' ? [] : [[name, value]];
}

function hexOf(base64: string | null): string {
  return Buffer.from(base64 ?? '', 'base64').toString('hex');
}
