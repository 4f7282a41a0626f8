/** A device state as text, for `dump` and for messages. */
import { sectionText } from './compare.ts';
import { type DeviceState, findSection } from './parse.ts';
import { replaySection } from './replay-section.ts';

/** A device state for a person: its sections, and where in the log it was saved. */
export function describeDeviceState(state: DeviceState): string {
  const lines = state.sections.map(({ id, name, instance, version, from, to }) =>
    [
      String(from).padStart(8),
      String(to - from).padStart(8),
      String(id).padStart(4),
      `v${version}`.padStart(4),
      ` ${sectionText(name, instance)}`,
    ].join(' '),
  );
  const head = `${'position'.padStart(8)} ${'bytes'.padStart(8)}   id  ver  section`;
  const total = `${state.sections.length} sections, ${state.bytes.length} bytes`;
  return [head, ...lines, total, ...describeReplay(state)].join('\n');
}

function describeReplay(state: DeviceState): string[] {
  if (findSection(state, 'replay') === undefined) return ['neither recorded nor replayed'];
  const replay = replaySection(state);
  const unread = replay.hasUnread ? `event of kind ${replay.dataKind} read and not consumed` : '';
  return [
    `icount ${replay.icount}, log position ${replay.fileOffset}, next disk request ${replay.blockRequestId}`,
    ...(unread === '' ? [] : [unread]),
  ];
}
