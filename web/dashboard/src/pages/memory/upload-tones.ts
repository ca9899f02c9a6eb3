import type { Tone } from '@asahi/ui';

import type { UploadState } from '../../api/memory';

/** The colour that goes with the word. */
export const uploadTones: Record<UploadState, Tone> = { discovered: 'neutral', leased: 'info', processing: 'info', done: 'ok', partial: 'warn', rejected: 'bad', failed: 'bad' };
