import { CircleAlert, CircleCheck, X } from 'lucide-react';
import { createContext, use, useCallback, useEffect, useState, type ReactNode } from 'react';

interface Toast {
  id: number;
  tone: 'ok' | 'bad';
  text: string;
}

type Notify = (tone: Toast['tone'], text: string) => void;

const ToastContext = createContext<Notify>(() => undefined);

/** A function that shows a short message in the corner. */
export function useToast(): Notify {
  return use(ToastContext);
}

const kMostToasts = 3;
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
  const Icon = toast.tone === 'ok' ? CircleCheck : CircleAlert;
  return (
    <div className="flex w-full max-w-sm animate-[appear_200ms_ease-out] items-start gap-3 rounded-lg border border-line bg-panel p-4 text-sm shadow-lg">
      <Icon aria-hidden className={toast.tone === 'ok' ? 'size-5 text-ok-text' : 'size-5 text-bad-text'} />
      <p className="min-w-0 flex-1 break-words text-ink">{toast.text}</p>
      <button type="button" aria-label="Dismiss" onClick={() => onClose(toast.id)} className="rounded text-ink-3 hover:text-ink">
        <X aria-hidden className="size-4" />
      </button>
    </div>
  );
}
