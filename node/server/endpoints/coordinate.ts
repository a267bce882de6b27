/** `Coordinate.*`: network coordinates of nodes. */

import { refused } from '../../../shared/errors.ts';
import type { Coordinate } from '../../../shared/types/v1.ts';
import { coordinateListNodes, coordinateUpdate } from '../../rpc/endpoints.ts';
import { allCoordinates } from '../../state/coordinates.ts';
import { updateCoordinatesCommand } from '../commands.ts';
import { alwaysTrue, readFromTables, writeByCommand } from './define.ts';

const DIMENSIONS = 8;

export const listNodesHandler = readFromTables(coordinateListNodes, (tables) => allCoordinates(tables));

/** One update as a command of its own; who batches them uses `checkCoordinate` and `updateCoordinatesCommand`. */
export const updateHandler = writeByCommand(
  coordinateUpdate,
  (args) => {
    checkCoordinate(args.coordinate);
    return updateCoordinatesCommand([args]);
  },
  alwaysTrue,
);

/** @throws ConsulError when it has other dimensions than ours or is not finite */
export function checkCoordinate(coordinate: Coordinate): void {
  const { Vec, Adjustment, Height } = coordinate;
  const isSound = [...Vec, coordinate.Error, Adjustment, Height].every(Number.isFinite);
  if (!isSound) throw refused('invalid coordinate');
  if (Vec.length !== DIMENSIONS) throw refused('incompatible coordinate');
}
