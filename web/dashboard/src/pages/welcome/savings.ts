/** The arithmetic of the savings calculator. */
export interface Traffic {
  /** Dollars a month for the model that answers everything now. */
  spend: number;
  /** Share of questions that were asked before, 0 to 1; the cache answers them for nothing. */
  repeated: number;
  /** Share of the others that a small model answers well enough, 0 to 1. */
  easy: number;
}

/** What gpt-4o-mini costs of gpt-4-turbo by list price, input and output in equal parts: 0.00075 of 0.04 dollars. */
export const kSmallModelShare = 0.00075 / 0.04;

export interface Savings {
  after: number;
  saved: number;
  /** Of the spend, 0 to 1. */
  share: number;
}

export function savingsOf({ spend, repeated, easy }: Traffic): Savings {
  const after = spend * (1 - repeated) * (1 - easy + easy * kSmallModelShare);
  return { after, saved: spend - after, share: spend > 0 ? (spend - after) / spend : 0 };
}
