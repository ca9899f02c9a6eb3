/** Bounded waiting by polling. Tests never sleep for a fixed time. */
import { setTimeout as pause } from "node:timers/promises";

/**
 * Calls `probe` until it returns something truthy, and returns that. Exceptions count as "not yet" and appear in the
 * failure. `what` completes "timed out waiting for …".
 */
export async function until(probe, { what, timeout_ms = 5000, every_ms = 10 }) {
  const deadline = performance.now() + timeout_ms;
  let last_error;
  for (;;) {
    try {
      const result = await probe();
      if (result) return result;
      last_error = undefined;
    } catch (error) {
      last_error = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(
        `timed out after ${timeout_ms} ms waiting for ${what}${last_error ? `: ${last_error.message}` : ""}`,
        { cause: last_error },
      );
    }
    await pause(every_ms);
  }
}

/** `promise`, or an error when it takes longer than `timeout_ms`. */
export async function within(timeout_ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeout_ms} ms`)), timeout_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds that `action` takes, with its result. */
export async function timed(action) {
  const start = performance.now();
  const result = await action();
  return { result, ms: performance.now() - start };
}
