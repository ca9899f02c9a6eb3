import { ErrorState } from '@asahi/ui';

import { ApiError, hintFor } from '../api/errors';

interface FailureProps {
  title: string;
  error: unknown;
  onRetry?: () => void;
  retrying?: boolean;
}

/** An error of the API in the server's words, with what to do about it and the id to find it in the logs. */
export function Failure({ title, error, onRetry, retrying }: FailureProps) {
  const message = error instanceof Error ? error.message : String(error);
  const requestId = error instanceof ApiError ? error.requestId : undefined;
  const hint = hintFor(error);
  return (
    <ErrorState
      title={title}
      cause={message}
      hint={
        hint || requestId ? (
          <>
            {hint} {requestId && <span className="text-ink-3">Request {requestId}</span>}
          </>
        ) : undefined
      }
      {...(onRetry ? { onRetry } : {})}
      retrying={retrying ?? false}
    />
  );
}
