import { CircleAlert, CircleCheck, Info, TriangleAlert, X } from 'lucide-react';
import { createContext, use, useCallback, useEffect, useState, type ReactNode } from 'react';

import { cx } from './cx';

interface Toast {
  id: number;
  tone: 'ok' | 'bad' | 'warn' | 'info';
  text: string;
}

type Notify = (tone: Toast['tone'], text: string) => void;

const ToastContext = createContext<Notify>(() => undefined);

/** A function that shows a short message in the corner. */
export function useToast(): Notify {
  return use(ToastContext);
}

const kMostToasts = 3;

const looks = {
  ok: { icon: CircleCheck, colour: 'text-ok-text', frame: 'border-ok/60 bg-ok-soft' },
  bad: { icon: CircleAlert, colour: 'text-bad-text', frame: 'border-bad/50 bg-bad-soft' },
  warn: { icon: TriangleAlert, colour: 'text-warn-text', frame: 'border-warn/60 bg-warn-soft' },
  info: { icon: Info, colour: 'text-info-text', frame: 'border-info/50 bg-info-soft' },
} as const;
let lastId = 0;

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const notify = useCallback<Notify>((tone, text) => {
    setToasts((shown) => [...shown, { id: ++lastId, tone, text }].slice(-kMostToasts));
  }, []);
  const close = useCallback((id: number) => setToasts((shown) => shown.filter((toast) => toast.id !== id)), []);
  return (
    <ToastContext value={notify}>
      {children}
      <div aria-live="polite" className="fixed right-4 bottom-4 left-4 z-50 flex flex-col items-end gap-2 sm:left-auto">
        {toasts.map((toast) => (
          <ToastCard key={toast.id} toast={toast} onClose={close} />
        ))}
      </div>
    </ToastContext>
  );
}

function ToastCard({ toast, onClose }: { toast: Toast; onClose: (id: number) => void }) {
  useEffect(() => {
    const timer = setTimeout(() => onClose(toast.id), toast.tone === 'bad' ? 10_000 : 5_000);
    return () => clearTimeout(timer);
  }, [toast, onClose]);
  const { icon: Icon, colour, frame } = looks[toast.tone];
  return (
    <div className={cx('flex w-full max-w-sm animate-[appear_200ms_ease-out] items-start gap-3 rounded-lg border p-4 text-sm shadow-lg', frame)}>
      <Icon aria-hidden className={cx('size-5 shrink-0', colour)} />
      <p className="min-w-0 flex-1 break-words text-ink">{toast.text}</p>
      <button type="button" aria-label="Dismiss" onClick={() => onClose(toast.id)} className="rounded text-ink-2 hover:text-ink">
        <X aria-hidden className="size-4" />
      </button>
    </div>
  );
}
