import { expect, test } from 'vitest';

import { readEvents, SseParser } from './sse';

const kStream = 'data: {"a":1}\n\nevent: error\ndata: first\ndata: second\n\n: a comment\n\ndata: [DONE]\n\n';
const kEvents = [
  { event: 'message', data: '{"a":1}' },
  { event: 'error', data: 'first\nsecond' },
  { event: 'message', data: '[DONE]' },
];

test('finds the same events wherever the stream is cut', () => {
  for (let cut = 0; cut <= kStream.length; cut += 1) {
    const parser = new SseParser();
    expect([...parser.push(kStream.slice(0, cut)), ...parser.push(kStream.slice(cut))]).toEqual(kEvents);
  }
});

test('takes CR, LF and CRLF for line ends, also with a CRLF cut in two', () => {
  for (const end of ['\r', '\n', '\r\n']) {
    const parser = new SseParser();
    const events = [...kStream.replaceAll('\n', end)].flatMap((char) => parser.push(char));
    expect(events).toEqual(kEvents);
  }
});

test('an event without its blank line is not an event', () => {
  expect(new SseParser().push('data: half')).toEqual([]);
});

test('only one blank after the colon is taken away, and unknown fields are passed over', () => {
  expect(new SseParser().push('id: 7\nretry: 1\ndata:  two\n\ndata\n\n')).toEqual([
    { event: 'message', data: ' two' },
    { event: 'message', data: '' },
  ]);
});

test('a byte order mark at the start belongs to no line', () => {
  expect(new SseParser().push('\uFEFFdata: x\n\n')).toEqual([{ event: 'message', data: 'x' }]);
});

test('characters cut between two reads arrive whole', async () => {
  const bytes = new TextEncoder().encode('data: 朝日\n\n');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const events = [];
  for await (const event of readEvents(body)) events.push(event);
  expect(events).toEqual([{ event: 'message', data: '朝日' }]);
});

test('a reader who stops early cancels the stream', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const event of readEvents(body)) {
    expect(event.data).toBe('x');
    break;
  }
  expect(cancelled).toBe(true);
});
