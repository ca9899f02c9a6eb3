/** What the frame shows over the pages now and then: one file, fetched when the first of it is wanted. */
export { ConnectionDialog } from './connection-dialog';
export { Palette } from './palette';
export { SessionDialog } from './session-dialog';
export { ShortcutHelp } from './shortcut-help';
