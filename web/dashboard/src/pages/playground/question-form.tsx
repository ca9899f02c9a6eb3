import { Button, Choices, Field, Input, Select, Slider, SwitchRow, Textarea } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, Square } from 'lucide-react';
import type { FormEvent, KeyboardEvent, ReactNode } from 'react';

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
  /** Stands in for the choice of a routing: several models are asked the same. */
  models?: ReactNode;
  /** The models are not all chosen. */
  unready?: boolean;
  question: Question;
  onChange: (change: Partial<Question>) => void;
  onSend: () => void;
  onCancel: () => void;
  running: boolean;
}

type PartProps = Pick<QuestionFormProps, 'question' | 'onChange'>;

interface ModelPickProps {
  label: string;
  value: string;
  onChange: (model: string) => void;
}

/** A chat model of the registry. */
export function ModelPick({ label, value, onChange }: ModelPickProps) {
  const { data, isError, refetch } = useQuery(modelsQuery);
  const chat = data?.models.filter((model) => model.supports.includes('chat')) ?? [];
  const providers = [...new Set(chat.map((model) => model.provider))].sort();
  return (
    <Field
      label={label}
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
        <Select {...ids} required value={value} onChange={(event) => onChange(event.target.value)}>
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

function ModelField({ question, onChange }: PartProps) {
  return (
    <>
      <ModelPick label="Model" value={question.model} onChange={(model) => onChange({ model })} />
      <Field label="Your vendor key" hint="Optional: pays this call with your own key at the model’s vendor. Sent once, never stored; such calls are not cached.">
        {(ids) => (
          <Input
            {...ids}
            type="password"
            autoComplete="off"
            spellCheck={false}
            placeholder="The gateway’s key"
            className="font-mono"
            value={question.vendorKey ?? ''}
            onChange={(event) => onChange({ vendorKey: event.target.value || undefined })}
          />
        )}
      </Field>
    </>
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

interface OptionSliderProps {
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number;
  /** Where the slider stands while nothing is set. */
  usual: number;
  value: number | undefined;
  text: (value: number) => string;
  onChange: (value: number | undefined) => void;
}

/** A slider that says nothing until it is moved, and can be taken back. */
function OptionSlider({ label, hint, min, max, step, usual, value, text, onChange }: OptionSliderProps) {
  return (
    <Field
      label={label}
      hint={hint}
      aside={
        value === undefined ? (
          'gateway’s choice'
        ) : (
          <>
            <span className="font-medium text-ink">{text(value)}</span>{' '}
            <button type="button" className="underline underline-offset-2" onClick={() => onChange(undefined)} aria-label={`Reset ${label.toLowerCase()}`}>
              reset
            </button>
          </>
        )
      }
    >
      {(ids) => <Slider {...ids} min={min} max={max} step={step} value={value ?? usual} aria-valuetext={value === undefined ? 'the gateway’s choice' : text(value)} onChange={(event) => onChange(event.target.valueAsNumber)} />}
    </Field>
  );
}

const kSimilar = [
  { value: '', label: 'Usual' },
  { value: 'low', label: 'Strict' },
  { value: 'medium', label: 'Medium' },
  { value: 'high', label: 'Loose' },
] as const;

function MoreOptions({ question, onChange, compare }: PartProps & { compare: boolean }) {
  return (
    <details className="group rounded-lg border border-line">
      <summary className="flex list-none items-center gap-2 rounded-lg px-3 py-2.5 text-sm font-medium text-ink">
        <ChevronRight aria-hidden className="size-4 text-ink-3 transition-transform duration-200 group-open:rotate-90" />
        System prompt and options
      </summary>
      <div className={compare ? 'grid gap-x-8 gap-y-4 border-t border-line p-3 md:grid-cols-2' : 'space-y-4 border-t border-line p-3'}>
        <Field label="System prompt" className={compare ? 'md:col-span-2' : ''}>
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
        <OptionSlider label="Temperature" hint="0 always says the likeliest word." min={0} max={2} step={0.1} usual={1} value={question.temperature} text={(value) => value.toFixed(1)} onChange={(temperature) => onChange({ temperature })} />
        {!compare && (
          <>
            <OptionSlider label="Least quality" hint="Of the model that may answer, 0 to 5." min={0} max={5} step={0.1} usual={3.5} value={question.minQuality} text={(value) => value.toFixed(1)} onChange={(minQuality) => onChange({ minQuality })} />
            <OptionSlider label="Most latency" hint="Typical time of the model that may answer." min={50} max={5000} step={50} usual={1000} value={question.mostLatencyMs} text={(value) => `${count(value)} ms`} onChange={(mostLatencyMs) => onChange({ mostLatencyMs })} />
            <Field label="Similarity for a semantic hit" hint="How alike an earlier question must be for its answer to be served.">
              {(ids) => (
                <Select {...ids} value={question.sensitivity ?? ''} onChange={(event) => onChange({ sensitivity: (event.target.value || undefined) as Question['sensitivity'] })}>
                  {kSimilar.map(({ value, label }) => (
                    <option key={value} value={value}>
                      {label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <SwitchRow
              label="Semantic cache"
              hint="Answers to questions that mean the same."
              checked={question.semanticCache !== false}
              onChange={(on) => onChange({ semanticCache: on ? undefined : false })}
            />
          </>
        )}
        <SwitchRow
          label="Fewer tokens"
          hint="The gateway may shorten the prompt."
          checked={question.optimizeTokens !== false}
          onChange={(on) => onChange({ optimizeTokens: on ? undefined : false })}
        />
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

export function QuestionForm({ question, onChange, onSend, onCancel, running, models, unready = false }: QuestionFormProps) {
  const compare = models !== undefined;
  const incomplete =
    !question.prompt.trim() ||
    unready ||
    (!compare && question.mode === 'explicit' && !question.model) ||
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
      {models ?? (
        <>
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
        </>
      )}
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
      <MoreOptions question={question} onChange={onChange} compare={compare} />
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
