import { ErrorState, later, SkeletonRows, useLater } from '@asahi/ui';
import { useState } from 'react';

const firstSteps = later(() => import('../start/first-steps'));

/** Before the first request: how to make it. The page notices by itself when it came. */
export function FirstRequest() {
  const [wanted, setWanted] = useState(true);
  const parts = useLater(firstSteps, wanted, () => setWanted(false));
  if (parts) return <parts.FirstSteps greeting />;
  if (wanted) return <SkeletonRows rows={8} />;
  return <ErrorState title="The first steps could not be loaded" cause="The gateway does not answer." onRetry={() => setWanted(true)} />;
}
