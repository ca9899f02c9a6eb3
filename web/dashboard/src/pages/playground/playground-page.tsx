import { useRef, useState } from 'react';

import type { Question } from '../../api/ask';
import { PageHeader } from '../../app/page-header';
import { Answer } from './answer';
import { QuestionForm } from './question-form';
import { RunTable } from './run-table';
import { useRun } from './use-run';

const kFirst: Question = {
  shape: 'native',
  mode: 'autopilot',
  model: '',
  quality: 'medium',
  latency: 'normal',
  system: '',
  prompt: '',
  maxTokens: 512,
  stream: true,
  bypassCache: false,
};

/** Kept while other pages are looked at. */
let draft = kFirst;

export function PlaygroundPage() {
  const [question, setQuestion] = useState(draft);
  const { run, running, start, cancel, clear } = useRun();
  const result = useRef<HTMLDivElement>(null);

  const change = (next: Partial<Question>) => {
    draft = { ...question, ...next };
    setQuestion(draft);
  };

  const send = () => {
    void start(question);
    // On narrow screens the answer stands below the form.
    if (window.matchMedia('(max-width: 1023px)').matches) result.current?.scrollIntoView({ behavior: 'smooth' });
  };

  return (
    <>
      <PageHeader title="Inference" purpose="Ask the gateway something, and see what it did and what it cost." />
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,7fr)]">
        <QuestionForm question={question} onChange={change} onSend={send} onCancel={cancel} running={running} />
        <div ref={result} className="min-w-0 scroll-mt-20 space-y-4">
          <Answer run={run} onClear={clear} onRetry={() => run && void start(run.question)} />
        </div>
      </div>
      <RunTable onReuse={(old) => change(old)} />
    </>
  );
}
