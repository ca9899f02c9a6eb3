import { Button, Choices, Field, Input, Select, SwitchRow, Textarea } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, Square } from 'lucide-react';
import type { FormEvent, KeyboardEvent } from 'react';

import type { Mode, Question, Shape } from '../../api/ask';
import { modelsQuery } from '../../api/queries';
import { count } from '../../lib/format';

const kMostPrompt = 100_000;
const kMostTokens = 128_000;

const kShapes: { value: Shape; label: string }[] = [
  { value: 'native', label: 'Native' },
  { value: 'chat', label: 'Chat completions' },
];
const kShapeHints: Record<Shape, string> = {
  native: 'POST /infer: the gateway’s own shape, with all its facts.',
  chat: 'POST /v1/chat/completions: what OpenAI’s SDKs send.',
};
const kModes: { value: Mode; label: string }[] = [
  { value: 'autopilot', label: 'Autopilot' },
  { value: 'guided', label: 'Guided' },
  { value: 'explicit', label: 'Explicit' },
];
const kModeHints: Record<Mode, string> = {
  autopilot: 'The gateway detects the task and picks the model.',
  guided: 'You say what matters; the gateway picks the model.',
  explicit: 'You name the model.',
};

interface QuestionFormProps {
  question: Question;
  onChange: (change: Partial<Question>) => void;
  onSend: () => void;
  onCancel: () => void;
  running: boolean;
}

type PartProps = Pick<QuestionFormProps, 'question' | 'onChange'>;

function ModelField({ question, onChange }: PartProps) {
  const { data, isError, refetch } = useQuery(modelsQuery);
  const chat = data?.models.filter((model) => model.supports.includes('chat')) ?? [];
  const providers = [...new Set(chat.map((model) => model.provider))].sort();
  return (
    <Field
      label="Model"
      hint={
        isError && !data ? (
          <>
            The models could not be loaded.{' '}
            <button type="button" className="underline" onClick={() => void refetch()}>
              Retry
            </button>
          </>
        ) : undefined
      }
    >
      {(ids) => (
        <Select {...ids} required value={question.model} onChange={(event) => onChange({ model: event.target.value })}>
          <option value="">{data ? 'Choose a model' : 'Loading…'}</option>
          {providers.map((provider) => (
            <optgroup key={provider} label={provider}>
              {chat
                .filter((model) => model.provider === provider)
                .map((model) => (
                  <option key={model.name} value={model.name} disabled={model.availability === 'unavailable'}>
                    {model.name}
                    {model.availability === 'available' ? '' : ` (${model.availability})`}
                  </option>
                ))}
            </optgroup>
          ))}
        </Select>
      )}
    </Field>
  );
}

function PreferenceFields({ question, onChange }: PartProps) {
  return (
    <div className="grid grid-cols-2 gap-3">
      <Field label="Quality">
        {(ids) => (
          <Select
            {...ids}
            value={question.quality}
            onChange={(event) => onChange({ quality: event.target.value as Question['quality'] })}
          >
            <option value="low">Low</option>
            <option value="medium">Medium</option>
            <option value="high">High</option>
            <option value="max">Max</option>
          </Select>
        )}
      </Field>
      <Field label="Latency">
        {(ids) => (
          <Select
            {...ids}
            value={question.latency}
            onChange={(event) => onChange({ latency: event.target.value as Question['latency'] })}
          >
            <option value="slow">Slow</option>
            <option value="normal">Normal</option>
            <option value="fast">Fast</option>
            <option value="instant">Instant</option>
          </Select>
        )}
      </Field>
    </div>
  );
}

function MoreOptions({ question, onChange }: PartProps) {
  return (
    <details className="group rounded-lg border border-line">
      <summary className="flex list-none items-center gap-2 rounded-lg px-3 py-2.5 text-sm font-medium text-ink">
        <ChevronRight aria-hidden className="size-4 text-ink-3 transition-transform duration-200 group-open:rotate-90" />
        System prompt and options
      </summary>
      <div className="space-y-4 border-t border-line p-3">
        <Field label="System prompt">
          {(ids) => (
            <Textarea
              {...ids}
              rows={2}
              maxLength={50_000}
              value={question.system}
              onChange={(event) => onChange({ system: event.target.value })}
              placeholder="You answer in one sentence."
            />
          )}
        </Field>
        <Field label="Max tokens" hint="Longest answer.">
          {(ids) => (
            <Input
              {...ids}
              type="number"
              inputMode="numeric"
              min={1}
              max={kMostTokens}
              required
              value={Number.isNaN(question.maxTokens) ? '' : question.maxTokens}
              onChange={(event) => onChange({ maxTokens: event.target.valueAsNumber })}
            />
          )}
        </Field>
        <SwitchRow label="Stream" hint="Show the answer as it is written." checked={question.stream} onChange={(stream) => onChange({ stream })} />
        <SwitchRow
          label="Bypass the cache"
          hint="Neither look the answer up nor keep it."
          checked={question.bypassCache}
          onChange={(bypassCache) => onChange({ bypassCache })}
        />
      </div>
    </details>
  );
}

export function QuestionForm({ question, onChange, onSend, onCancel, running }: QuestionFormProps) {
  const incomplete =
    !question.prompt.trim() ||
    (question.mode === 'explicit' && !question.model) ||
    !(question.maxTokens >= 1 && question.maxTokens <= kMostTokens);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!incomplete && !running) onSend();
  };
  const sendByKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
  };

  return (
    <form onSubmit={submit} onKeyDown={sendByKey} aria-label="Question" className="min-w-0 space-y-4 rounded-lg border border-line bg-panel p-4 sm:p-5">
      <Choices
        legend="Endpoint"
        value={question.shape}
        options={kShapes}
        onChange={(shape) => onChange({ shape })}
        hint={kShapeHints[question.shape]}
      />
      <Choices
        legend="Routing"
        value={question.mode}
        options={kModes}
        onChange={(mode) => onChange({ mode })}
        hint={kModeHints[question.mode]}
      />
      {question.mode === 'explicit' && <ModelField question={question} onChange={onChange} />}
      {question.mode === 'guided' && <PreferenceFields question={question} onChange={onChange} />}
      <Field label="Prompt" aside={`${count(question.prompt.length)} / ${count(kMostPrompt)}`}>
        {(ids) => (
          <Textarea
            {...ids}
            rows={5}
            maxLength={kMostPrompt}
            value={question.prompt}
            onChange={(event) => onChange({ prompt: event.target.value })}
            placeholder="What is the capital of France?"
          />
        )}
      </Field>
      <MoreOptions question={question} onChange={onChange} />
      <div className="flex items-center justify-between gap-3">
        <p className="text-xs text-ink-3 max-sm:invisible">
          <kbd className="rounded border border-line px-1 font-sans">Ctrl</kbd> +{' '}
          <kbd className="rounded border border-line px-1 font-sans">Enter</kbd> sends
        </p>
        <div className="flex gap-2">
          <Button look="ghost" disabled={running || !question.prompt} onClick={() => onChange({ prompt: '' })}>
            Clear
          </Button>
          {/* Keys keep them two elements: one that turned into a submit button while it is clicked would send again. */}
          {running ? (
            <Button key="cancel" onClick={onCancel} className="min-w-24">
              <Square aria-hidden className="size-3.5 fill-current" />
              Cancel
            </Button>
          ) : (
            <Button key="send" look="primary" type="submit" disabled={incomplete} className="min-w-24">
              Send
            </Button>
          )}
        </div>
      </div>
    </form>
  );
}
