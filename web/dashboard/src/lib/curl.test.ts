import { expect, test } from 'vitest';

import { curlOf } from './curl';

test('quotes in the body cannot leave the shell string', () => {
  const command = curlOf('http://gw', '/infer', { prompt: "it's $HOME" }, false);
  expect(command).toContain(`-d '{"prompt":"it'\\''s $HOME"}'`);
});

test('the key is a variable, never its value, and streams are not buffered', () => {
  const command = curlOf('http://gw', '/infer', { prompt: 'x', stream: true }, true);
  expect(command).toContain('Bearer $ASAHI_API_KEY');
  expect(command).toMatch(/^curl -N /);
});
