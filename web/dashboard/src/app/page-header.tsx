import { useEffect, useRef, type ReactNode } from 'react';

let firstPage = true;

interface PageHeaderProps {
  title: string;
  purpose: string;
  actions?: ReactNode;
}

/** Title and one line of purpose. Going to a page moves the focus here, so that screen readers announce it. */
export function PageHeader({ title, purpose, actions }: PageHeaderProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Asahi`;
    if (firstPage) firstPage = false;
    else heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <header className="mb-6 flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        <h1 ref={heading} tabIndex={-1} className="text-2xl leading-8 font-semibold tracking-tight text-ink">
          {title}
        </h1>
        <p className="mt-1 text-sm text-ink-3">{purpose}</p>
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}
