/**
 * The last minute of traffic, kept in slots of a tenth of a second: whatever comes in, what is drawn and added up stays the
 * same size. Pure: summaries and times in, figures out.
 */
import type { Schemas } from '../api/client';

type Summary = Schemas['StreamSummary'];

export const kSlotMs = 100;
export const kWindowMs = 60_000;
const kSlots = kWindowMs / kSlotMs;
/** The rate is that of the last few seconds. */
const kRateMs = 5_000;
const kMostModels = 50;

export interface Slot {
  /** Start, server time, ms. */
  t: number;
  requests: number;
  hits: number;
  errors: number;
  cost: number;
  savings: number;
  p50: number;
  models: Readonly<Record<string, number>>;
}

export interface Figures {
  total: number;
  totalCost: number;
  totalSavings: number;
  /** Requests per second. */
  rate: number;
  /** Of the last minute. */
  requests: number;
  errors: number;
  hits: number;
  cost: number;
  /** Mean of the medians, by requests; undefined without any. */
  p50: number | undefined;
  models: readonly { name: string; requests: number }[];
}

export class LiveWindow {
  #slots = new Map<number, Slot>();
  #total = 0;
  #totalCost = 0;
  #totalSavings = 0;
  /** Least seen difference of our clock and the server's: the one with the least delay. */
  #skew = Infinity;

  /** `arrived`: our clock. */
  add(summary: Summary, arrived: number): void {
    const from = Date.parse(summary.from);
    const to = Date.parse(summary.to);
    if (Number.isNaN(from) || Number.isNaN(to)) return;
    this.#skew = Math.min(this.#skew, arrived - to);
    this.#total += summary.requests;
    this.#totalCost += summary.cost;
    this.#totalSavings += summary.savings;
    const place = Math.floor(from / kSlotMs);
    const old = this.#slots.get(place);
    const requests = (old?.requests ?? 0) + summary.requests;
    const models: Record<string, number> = { ...old?.models };
    for (const [name, number] of Object.entries(summary.by_model)) models[name] = (models[name] ?? 0) + number;
    this.#slots.set(place, {
      t: place * kSlotMs,
      requests,
      hits: (old?.hits ?? 0) + summary.hits,
      errors: (old?.errors ?? 0) + summary.errors,
      cost: (old?.cost ?? 0) + summary.cost,
      savings: (old?.savings ?? 0) + summary.savings,
      p50: requests > 0 ? ((old?.p50 ?? 0) * (old?.requests ?? 0) + summary.p50_latency_ms * summary.requests) / requests : 0,
      models,
    });
    this.#drop(place);
  }

  #drop(newest: number): void {
    for (const place of this.#slots.keys()) {
      // Insertion is nearly in the order of time; what is not falls out later.
      if (place > newest - kSlots) break;
      this.#slots.delete(place);
    }
    while (this.#slots.size > 2 * kSlots) {
      const oldest = this.#slots.keys().next();
      if (oldest.done) break;
      this.#slots.delete(oldest.value);
    }
  }

  /** The server's time when ours is `now`. */
  serverTime(now: number): number {
    return Number.isFinite(this.#skew) ? now - this.#skew : now;
  }

  /** Those of the minute before the server's `time`. */
  slots(time: number): Slot[] {
    return [...this.#slots.values()].filter(({ t }) => t > time - kWindowMs && t <= time);
  }

  figures(time: number): Figures {
    const slots = this.slots(time);
    const sum = (of: (slot: Slot) => number) => slots.reduce((all, slot) => all + of(slot), 0);
    const requests = sum((slot) => slot.requests);
    const models = new Map<string, number>();
    for (const slot of slots) for (const [name, number] of Object.entries(slot.models)) models.set(name, (models.get(name) ?? 0) + number);
    return {
      total: this.#total,
      totalCost: this.#totalCost,
      totalSavings: this.#totalSavings,
      rate: slots.filter(({ t }) => t > time - kRateMs).reduce((all, slot) => all + slot.requests, 0) / (kRateMs / 1000),
      requests,
      errors: sum((slot) => slot.errors),
      hits: sum((slot) => slot.hits),
      cost: sum((slot) => slot.cost),
      p50: requests > 0 ? sum((slot) => slot.p50 * slot.requests) / requests : undefined,
      models: [...models]
        .map(([name, number]) => ({ name, requests: number }))
        .sort((a, b) => b.requests - a.requests || a.name.localeCompare(b.name))
        .slice(0, kMostModels),
    };
  }
}
