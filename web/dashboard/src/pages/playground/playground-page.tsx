import { Segments } from '@asahi/ui';
import { useRef, useState } from 'react';

import type { Question } from '../../api/ask';
import { PageHeader } from '../../app/page-header';
import { Answer } from './answer';
import { Compare } from './compare';
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
let comparing = false;

function One({ question, onChange }: { question: Question; onChange: (change: Partial<Question>) => void }) {
  const { run, running, start, cancel, clear } = useRun();
  const result = useRef<HTMLDivElement>(null);
  const form = useRef<HTMLDivElement>(null);

  const send = () => {
    void start(question);
    // On narrow screens the answer stands below the form.
    if (window.matchMedia('(max-width: 1023px)').matches) result.current?.scrollIntoView({ behavior: 'smooth' });
  };
  const startOver = () => {
    clear();
    onChange({ prompt: '' });
    form.current?.querySelector<HTMLTextAreaElement>('textarea')?.focus();
  };

  return (
    <>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,7fr)]">
        <div ref={form} className="min-w-0">
          <QuestionForm question={question} onChange={onChange} onSend={send} onCancel={cancel} running={running} />
        </div>
        <div ref={result} className="min-w-0 scroll-mt-20 space-y-4">
          <Answer run={run} onNew={startOver} onRetry={() => run && void start(run.question)} />
        </div>
      </div>
      <RunTable onReuse={(old) => onChange(old)} />
    </>
  );
}

const kWays = [
  { value: 'one', label: 'One answer' },
  { value: 'compare', label: 'Compare models' },
] as const;

export function PlaygroundPage() {
  const [question, setQuestion] = useState(draft);
  const [way, setWay] = useState<'one' | 'compare'>(comparing ? 'compare' : 'one');
  const change = (next: Partial<Question>) => {
    draft = { ...draft, ...next };
    setQuestion(draft);
  };
  return (
    <>
      <PageHeader
        title="Inference"
        purpose="Ask the gateway something, and see what it did and what it cost."
        actions={<Segments label="Way of asking" value={way} options={kWays} onChange={(next) => (setWay(next), (comparing = next === 'compare'))} />}
      />
      {way === 'one' ? <One question={question} onChange={change} /> : <Compare question={question} onChange={change} />}
    </>
  );
}
