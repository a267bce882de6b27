/** `Operator.Autopilot*`: the replicated autopilot settings. */

import { type AutopilotConfig, DEFAULT_AUTOPILOT } from '../../../shared/types/autopilot.ts';
import { operatorAutopilotGet, operatorAutopilotSet } from '../../rpc/operator-endpoints.ts';
import { autopilotConfig } from '../../state/autopilot.ts';
import { setAutopilotCommand } from '../commands.ts';
import { readFromTables, writeByCommand } from './define.ts';

/** What holds until the first leader has stored the settings. */
const NOT_STORED: AutopilotConfig = { ...DEFAULT_AUTOPILOT, CreateIndex: 0, ModifyIndex: 0 };

export const getHandler = readFromTables(operatorAutopilotGet, (tables) => {
  const answer = autopilotConfig(tables);
  return { ...answer, value: answer.value ?? NOT_STORED };
});

export const setHandler = writeByCommand(
  operatorAutopilotSet,
  ({ settings, cas }) => setAutopilotCommand(settings, cas),
  (applied) => applied === true,
);
