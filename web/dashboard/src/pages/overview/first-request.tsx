import { Button, CodeBlock, CopyButton, SectionCard } from '@asahi/ui';
import { Link } from '@tanstack/react-router';

import { apiBase, useConnection } from '../../api/connection';
import { curlOf } from '../../lib/curl';

/** Before the first request: how to make it. The page notices by itself when it came. */
export function FirstRequest() {
  const { key } = useConnection();
  const code = curlOf(apiBase(), '/infer', { prompt: 'What is the capital of France?' }, Boolean(key));
  return (
    <SectionCard title="No request yet" note="Send the first one. Its figures appear here within a few seconds.">
      <CodeBlock code={code} label="First request with curl" />
      <p className="mt-3 text-sm text-ink-2">Send it twice: the second answer comes from the cache and costs nothing.</p>
      <div className="mt-4 flex flex-wrap gap-2">
        <CopyButton text={code} label="Copy" look="primary" />
        <Button asChild>
          <Link to="/playground">Ask in the playground</Link>
        </Button>
        <Button asChild look="ghost">
          <Link to="/start">Use an SDK</Link>
        </Button>
      </div>
    </SectionCard>
  );
}
