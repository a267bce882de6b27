/** The JSON objects of the ACL API, as far as the commands look into them. */

export interface Link {
  readonly ID?: string;
  readonly Name?: string;
}

export interface ServiceIdentity {
  readonly ServiceName: string;
  readonly Datacenters?: readonly string[];
}

export interface NodeIdentity {
  readonly NodeName: string;
  readonly Datacenter: string;
}

export interface Indexed {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** What a token and a role may do. */
export interface Grants {
  readonly Policies?: readonly Link[] | null;
  readonly Roles?: readonly Link[] | null;
  readonly ServiceIdentities?: readonly ServiceIdentity[] | null;
  readonly NodeIdentities?: readonly NodeIdentity[] | null;
}

export interface Token extends Grants, Indexed {
  readonly AccessorID: string;
  /** Missing in lists. */
  readonly SecretID?: string;
  readonly Description: string;
  readonly Rules?: string;
  readonly Local: boolean;
  readonly AuthMethod?: string;
  readonly ExpirationTime?: string;
  readonly CreateTime: string;
  /** Base64. */
  readonly Hash: string | null;
  readonly Legacy?: boolean;
}

export interface Policy extends Indexed {
  readonly ID: string;
  readonly Name: string;
  readonly Description: string;
  /** Missing in lists. */
  readonly Rules?: string;
  readonly Datacenters?: readonly string[] | null;
  readonly Hash: string | null;
}

export interface Role extends Omit<Grants, 'Roles'>, Indexed {
  readonly ID: string;
  readonly Name: string;
  readonly Description: string;
  readonly Hash: string | null;
}

export interface AuthMethod extends Indexed {
  readonly Name: string;
  readonly Type: string;
  readonly DisplayName?: string;
  readonly Description?: string;
  /** Go duration text. */
  readonly MaxTokenTTL?: string;
  readonly TokenLocality?: string;
  /** Missing in lists. */
  readonly Config?: Readonly<Record<string, unknown>> | null;
}

export interface BindingRule extends Indexed {
  readonly ID: string;
  readonly Description: string;
  readonly AuthMethod: string;
  readonly Selector: string;
  readonly BindType: string;
  readonly BindName: string;
}
