/** A few dozen requests of several kinds, some of them repeated, so that every figure of the dashboard has a meaning. */
const kPrompts = [
  'What is the capital of France?',
  'Translate "good morning" to German',
  'Write a Python function that reverses a linked list',
  'Summarize the minutes below in three sentences: we agreed on the schedule, the budget and the venue.',
  'Classify this review as positive or negative: the battery dies within an hour',
  'Explain step by step why the sum of two odd numbers is even',
  'Write a haiku about rivers',
  'What is the difference between TCP and UDP?',
  'Review this clause for liability risk: the supplier shall indemnify the customer',
  'How many moons does Mars have?',
  'Fix this SQL query: SELECT name FROM users WHERE age = max(age)',
  'Write a short story about a lighthouse keeper',
  'What does HTTP status 409 mean?',
  'Translate this sentence to Japanese: the sun rises in the east',
];
const kNamedModels = ['gpt-4o', 'claude-sonnet-4-6', 'gpt-4o-mini'];

async function post(url, body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

export async function seed(base) {
  // Later rounds repeat ever fewer of the prompts.
  for (let round = 0; round < 4; round += 1) {
    for (const prompt of kPrompts.slice(0, kPrompts.length - 3 * round)) await post(`${base}/infer`, { prompt });
  }
  for (const model of kNamedModels) {
    for (const content of kPrompts.slice(0, 4)) await post(`${base}/v1/chat/completions`, { model, messages: [{ role: 'user', content }] });
  }
  for (const quality_preference of ['high', 'max']) {
    for (const prompt of kPrompts.slice(4, 8)) {
      await post(`${base}/infer`, { prompt, routing_mode: 'guided', quality_preference, latency_preference: 'slow' });
    }
  }
}
