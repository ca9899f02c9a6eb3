/** Reads text/event-stream bodies frame by frame. */

/** Yields {event, data} per frame of a fetch response; ends with the body. Throws when the body is cut. */
export async function* sse_frames(response) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const frame = parse_block(block);
      if (frame) yield frame;
    }
  }
}

function parse_block(block) {
  let event;
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
  }
  return data.length ? { event, data: data.join("\n") } : undefined;
}

/** All frames of a response. */
export async function all_sse_frames(response) {
  const frames = [];
  for await (const frame of sse_frames(response)) frames.push(frame);
  return frames;
}
