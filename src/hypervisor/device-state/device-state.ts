/**
 * What is known about device states: division into sections, log position, clocks, comparison,
 * text.
 */
export { judgementBytes, judgementOf, withJudgement } from './clock-judgement.ts';
export { compareDeviceStates, describeDifferences } from './compare.ts';
export { describeDeviceState } from './describe.ts';
export { type DeviceState, parseDeviceState } from './parse.ts';
export { releaseHalt } from './release-halt.ts';
export { newestReplaySection, type ReplaySection, replaySection } from './replay-section.ts';
export { timerSection } from './timer-section.ts';
