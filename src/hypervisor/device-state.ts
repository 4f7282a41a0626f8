/** What is known about device states: division into sections, log position, clocks, comparison, text. */
export { judgementBytes, judgementOf, withJudgement } from './device-state/clock-judgement.ts';
export {
  compareDeviceStates,
  type Difference,
  describeDifferences,
} from './device-state/compare.ts';
export { describeDeviceState } from './device-state/describe.ts';
export {
  type DeviceSection,
  type DeviceState,
  findSection,
  parseDeviceState,
} from './device-state/parse.ts';
export { releaseHalt } from './device-state/release-halt.ts';
export { type ReplaySection, replaySection } from './device-state/replay-section.ts';
export { timerSection } from './device-state/timer-section.ts';
