import { ErrorState } from '@asahi/ui';
import type { ErrorComponentProps } from '@tanstack/react-router';

/** A page that failed to draw; the frame around it goes on working. */
export function CrashPage({ error, reset }: ErrorComponentProps) {
  return (
    <div className="py-6">
      <ErrorState
        title="This page failed to draw"
        cause={error instanceof Error ? error.message : String(error)}
        hint="The other pages still work."
        onRetry={reset}
      />
    </div>
  );
}
