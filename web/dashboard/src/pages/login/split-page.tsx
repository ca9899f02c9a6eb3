import { Check } from 'lucide-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode, RefObject } from 'react';

const kPromises = [
  'Every answer says what it cost, what it saved, and why',
  'Budgets that hold, with a forecast',
  'An audit log that cannot be changed unseen',
];

interface SplitPageProps {
  heading: RefObject<HTMLHeadingElement | null>;
  title: string;
  purpose: string;
  children: ReactNode;
}

/** The frame of logging in and signing up: what this is on one half, the form on the other. */
export function SplitPage({ heading, title, purpose, children }: SplitPageProps) {
  return (
    <div className="grid min-h-dvh lg:grid-cols-2">
      <aside aria-label="About Asahi" className="relative hidden flex-col justify-between overflow-hidden bg-[#1a1a1a] p-12 text-white lg:flex">
        <div aria-hidden className="absolute -right-40 -bottom-40 size-[34rem] rounded-full bg-[radial-gradient(circle,#ff6b35_0%,#ff6b3500_65%)] opacity-50" />
        <Link to="/welcome" className="relative flex w-fit items-center gap-2.5 rounded-lg text-lg font-semibold">
          <img src="./favicon.svg" alt="" width={32} height={32} />
          Asahi
        </Link>
        <div className="relative max-w-md">
          <p className="text-[36px] leading-[1.3] font-bold tracking-tight">The same answers for less, and the proof of it.</p>
          <ul className="mt-8 space-y-3 text-white/85">
            {kPromises.map((text) => (
              <li key={text} className="flex gap-3">
                <Check aria-hidden className="mt-0.5 size-5 shrink-0 text-[#ffb84d]" />
                {text}
              </li>
            ))}
          </ul>
        </div>
        <p className="relative text-xs text-white/70">Runs on your own machines. Nothing leaves them but the calls you send.</p>
      </aside>
      <main className="flex flex-col justify-center bg-panel px-4 py-10 sm:px-8">
        <div className="mx-auto w-full max-w-sm">
          <div className="mb-6">
            <img src="./favicon.svg" alt="" width={44} height={44} className="mb-4 lg:hidden" />
            <h1 ref={heading} tabIndex={-1} className="text-[28px] leading-[1.4] font-bold tracking-tight text-ink">
              {title}
            </h1>
            <p className="mt-1 text-sm text-ink-3">{purpose}</p>
          </div>
          {children}
        </div>
      </main>
    </div>
  );
}
