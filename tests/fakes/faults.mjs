/**
 * Scripted misbehaviour. A script is a list of faults per vendor, consumed in order by calls that match.
 *
 *   {kind: "status", status, headers, message}   an error in the vendor's shape
 *   {kind: "hang"}                               takes the request, never answers
 *   {kind: "slow_first_byte", ms}                answers properly after a pause
 *   {kind: "slow_chunks", ms}                    streams properly with a pause between pieces
 *   {kind: "cut_stream", after_chunks}           closes the connection after that many pieces
 *   {kind: "end_early", after_chunks}            ends the body properly, but before the vendor's end mark
 *   {kind: "stall_stream", after_chunks}         falls silent after that many pieces
 *   {kind: "error_event_mid_stream", after_chunks, message}   the vendor's error event, then the end
 *   {kind: "garbage_json"}                       200 with a body (or, mid-stream, a frame) that is no JSON
 *   {kind: "wrong_json"}                         200 with JSON that is no answer
 *   {kind: "empty_body"}                         200 with an empty body
 *   {kind: "error_in_200"}                       200 whose body (or first frame) is the vendor's error
 *   {kind: "close_early"}                        half of the promised body, then the end of the connection
 *   {kind: "close"}                              closes without a byte
 *   {kind: "reset"}                              TCP reset without a byte
 *   {kind: "none"}                               a proper answer (a gap in a script)
 *
 * `times` (1) repeats a fault, "forever" keeps it; `match` limits it to bodies containing that text;
 * `on: "any"` lets GET requests (health polls) consume it too, otherwise only POSTs do.
 */

const kKinds = new Set([
  "status",
  "hang",
  "slow_first_byte",
  "slow_chunks",
  "cut_stream",
  "end_early",
  "stall_stream",
  "error_event_mid_stream",
  "garbage_json",
  "wrong_json",
  "empty_body",
  "error_in_200",
  "close_early",
  "close",
  "reset",
  "none",
]);
const kMaxFaults = 1000;

export class FaultScript {
  #faults = [];

  /** Appends faults. Throws on an unknown kind: a misspelt test must not pass. */
  add(faults) {
    for (const fault of faults) {
      if (!kKinds.has(fault.kind)) throw new Error(`unknown fault kind ${JSON.stringify(fault.kind)}`);
      if (this.#faults.length >= kMaxFaults) throw new Error(`more than ${kMaxFaults} faults`);
      this.#faults.push({ ...fault, left: fault.times === "forever" ? Infinity : (fault.times ?? 1) });
    }
  }

  clear() {
    this.#faults = [];
  }

  /** The fault for this call, or null. */
  next(method, body_text) {
    const index = this.#faults.findIndex(
      (f) => (method === "POST" || f.on === "any") && (f.match === undefined || body_text.includes(f.match)),
    );
    if (index < 0) return null;
    const fault = this.#faults[index];
    if (--fault.left <= 0) this.#faults.splice(index, 1);
    return fault.kind === "none" ? null : fault;
  }
}

/**
 * How to deliver `reply` under `fault`: {status, headers, frames | body, delay_ms, gap_ms, ending}.
 * ending: "end" (proper), "destroy" (FIN without end), "reset" (RST), "stall" (silence).
 * `before_byte` true: the ending happens before anything is sent.
 */
export function plan_delivery(reply, fault, vendor) {
  const plan = { delay_ms: 0, gap_ms: 0, ending: "end", before_byte: false, ...reply };
  if (!fault) return plan;
  const cut = (frames, ending) => ({ ...plan, frames, ending });
  const frames = plan.frames ?? [plan.body];
  const first = frames.slice(0, fault.after_chunks ?? 1);
  switch (fault.kind) {
    case "status":
      return {
        ...plan,
        status: fault.status,
        frames: undefined,
        headers: { "content-type": "application/json", ...fault.headers },
        body: JSON.stringify(vendor.status_error(fault.status, fault.message)),
      };
    case "hang":
      return { ...plan, before_byte: true, ending: "stall" };
    case "close":
      return { ...plan, before_byte: true, ending: "destroy" };
    case "reset":
      return { ...plan, before_byte: true, ending: "reset" };
    case "slow_first_byte":
      return { ...plan, delay_ms: plan.delay_ms + (fault.ms ?? 1000) };
    case "slow_chunks":
      return { ...plan, gap_ms: fault.ms ?? 100 };
    case "cut_stream":
      return cut(first, "destroy");
    case "end_early":
      return cut(first, "end");
    case "stall_stream":
      return cut(first, "stall");
    case "error_event_mid_stream":
      return cut([...first, vendor.error_frame(fault.message ?? "Overloaded")], "end");
    case "garbage_json":
      return plan.frames ? cut([...first, 'data: {"id": "broken\n\n'], "end") : { ...plan, body: '{"id": "broken' };
    case "wrong_json":
      return plan.frames ? cut(["data: [1, 2, 3]\n\n"], "end") : { ...plan, body: '{"unexpected": [1, 2, 3]}' };
    case "empty_body":
      return { ...plan, frames: undefined, body: "" };
    case "error_in_200":
      if (plan.frames) return cut([vendor.error_frame("The server had an error")], "end");
      return { ...plan, body: JSON.stringify(vendor.status_error(500, "The server had an error")) };
    case "close_early":
      if (plan.frames) return cut(first, "destroy");
      return {
        ...plan,
        promised_length: Buffer.byteLength(plan.body),
        body: plan.body.slice(0, plan.body.length / 2),
        ending: "destroy",
      };
    default:
      throw new Error(`no delivery for ${fault.kind}`);
  }
}
