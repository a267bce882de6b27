/** The mesh part of a service body: `Proxy` and `Connect`, kept as given in Consul's key order. */

import type { ServiceProxy } from '../../shared/types/v1.ts';
import {
  anything,
  bool,
  type Decoded,
  int,
  listOf,
  mapOf,
  optional,
  rawNode,
  struct,
  text,
} from './go-json.ts';

const meshGateway = struct({ Mode: text });

const upstream = struct(
  {
    DestinationType: text,
    DestinationNamespace: text,
    DestinationName: text,
    Datacenter: text,
    LocalBindAddress: text,
    LocalBindPort: int,
    Config: mapOf(anything),
    MeshGateway: meshGateway,
  },
  {
    aliases: {
      destination_type: 'DestinationType',
      destination_namespace: 'DestinationNamespace',
      destination_name: 'DestinationName',
      local_bind_address: 'LocalBindAddress',
      local_bind_port: 'LocalBindPort',
      mesh_gateway: 'MeshGateway',
    },
    isCustom: true,
  },
);

const exposedPath = struct(
  { ListenerPort: int, Path: text, LocalPathPort: int, Protocol: text, ParsedFromCheck: bool },
  {
    aliases: {
      listener_port: 'ListenerPort',
      local_path_port: 'LocalPathPort',
      parsed_from_check: 'ParsedFromCheck',
    },
    isCustom: true,
  },
);

export const proxyBody = struct(
  {
    DestinationServiceName: text,
    DestinationServiceID: text,
    LocalServiceAddress: text,
    LocalServicePort: int,
    Config: mapOf(anything),
    Upstreams: listOf(upstream),
    MeshGateway: meshGateway,
    Expose: struct({ Checks: bool, Paths: listOf(exposedPath) }),
  },
  {
    aliases: {
      destination_service_name: 'DestinationServiceName',
      destination_service_id: 'DestinationServiceID',
      local_service_address: 'LocalServiceAddress',
      local_service_port: 'LocalServicePort',
      mesh_gateway: 'MeshGateway',
    },
    isCustom: true,
  },
);

/** Unknown fields are dropped; the sidecar is a whole service and decoded by the caller. */
export const connectBody = struct(
  { Native: bool, SidecarService: rawNode },
  { aliases: { sidecar_service: 'SidecarService' }, ignoreUnknown: true, isCustom: true },
);

export const optionalProxy = optional(proxyBody);
export const optionalConnect = optional(connectBody);

/** Absent keys and empty ones are the same, as in Consul's output. */
export function toServiceProxy(body: Decoded<typeof proxyBody>): ServiceProxy {
  return {
    ...(body.DestinationServiceName !== '' && { DestinationServiceName: body.DestinationServiceName }),
    ...(body.DestinationServiceID !== '' && { DestinationServiceID: body.DestinationServiceID }),
    ...(body.LocalServiceAddress !== '' && { LocalServiceAddress: body.LocalServiceAddress }),
    ...(body.LocalServicePort !== 0 && { LocalServicePort: body.LocalServicePort }),
    ...(body.Config !== null && { Config: body.Config }),
    ...(body.Upstreams !== null && { Upstreams: body.Upstreams.map(toUpstream) }),
    MeshGateway: toMeshGateway(body.MeshGateway),
    Expose: {
      ...(body.Expose.Checks && { Checks: true }),
      ...(body.Expose.Paths !== null && { Paths: body.Expose.Paths.map(toExposedPath) }),
    },
  };
}

function toUpstream(body: Decoded<typeof upstream>): Record<string, unknown> {
  return {
    DestinationType: body.DestinationType === '' ? 'service' : body.DestinationType,
    ...(body.DestinationNamespace !== '' && { DestinationNamespace: body.DestinationNamespace }),
    DestinationName: body.DestinationName,
    Datacenter: body.Datacenter,
    ...(body.LocalBindAddress !== '' && { LocalBindAddress: body.LocalBindAddress }),
    LocalBindPort: body.LocalBindPort,
    Config: body.Config,
    MeshGateway: toMeshGateway(body.MeshGateway),
  };
}

function toExposedPath(body: Decoded<typeof exposedPath>): Record<string, unknown> {
  return {
    ...(body.ListenerPort !== 0 && { ListenerPort: body.ListenerPort }),
    ...(body.Path !== '' && { Path: body.Path }),
    ...(body.LocalPathPort !== 0 && { LocalPathPort: body.LocalPathPort }),
    ...(body.Protocol !== '' && { Protocol: body.Protocol }),
    ...(body.ParsedFromCheck && { ParsedFromCheck: true }),
  };
}

function toMeshGateway(body: Decoded<typeof meshGateway>): Record<string, unknown> {
  return body.Mode === '' ? {} : { Mode: body.Mode };
}
