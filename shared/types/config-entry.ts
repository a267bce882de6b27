/** Configuration entries of the mesh and gateways as on the wire. They are kept and given back; nothing acts on them. */

export const CONFIG_ENTRY_KINDS = [
  'service-defaults',
  'proxy-defaults',
  'service-router',
  'service-splitter',
  'service-resolver',
  'ingress-gateway',
  'terminating-gateway',
] as const;

export type ConfigEntryKind = (typeof CONFIG_ENTRY_KINDS)[number];

export function isConfigEntryKind(kind: string): kind is ConfigEntryKind {
  return (CONFIG_ENTRY_KINDS as readonly string[]).includes(kind);
}

/** `Kind` and `Name`, then the fields of the kind in wire order, empty ones left out where Consul does, `Meta` last. */
export interface ConfigEntryDefinition {
  readonly Kind: ConfigEntryKind;
  readonly Name: string;
  readonly [field: string]: unknown;
}

export interface ConfigEntry extends ConfigEntryDefinition {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** A service behind a gateway. Optional keys are absent when empty. */
export interface GatewayService {
  Gateway: { Name: string };
  Service: { Name: string };
  GatewayKind: string;
  Port?: number;
  Protocol?: string;
  Hosts?: string[];
  CAFile?: string;
  CertFile?: string;
  KeyFile?: string;
  SNI?: string;
  /** It was not listed by name, but fits `*`. */
  FromWildcard?: boolean;
  CreateIndex: number;
  ModifyIndex: number;
}
