/** Examples that run as they stand against `base`. */
export interface Snippet {
  id: string;
  title: string;
  before?: string;
  code: string;
}

export function snippetsFor(base: string, withKey: boolean): Snippet[] {
  const header = withKey ? '  -H "authorization: Bearer $ASAHI_API_KEY" \\\n' : '';
  const pythonKey = withKey ? 'os.environ["ASAHI_API_KEY"]' : '"not-needed"';
  const pythonImport = withKey ? 'import os\n\n' : '';
  const nodeKey = withKey ? 'process.env.ASAHI_API_KEY' : '"not-needed"';
  return [
    {
      id: 'curl',
      title: 'curl',
      code: `curl ${base}/infer \\
${header}  -H 'content-type: application/json' \\
  -d '{"prompt": "What is the capital of France?"}'`,
    },
    {
      id: 'openai-python',
      title: 'OpenAI · Python',
      before: 'pip install openai',
      code: `${pythonImport}from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key=${pythonKey})

completion = client.chat.completions.create(
    model="auto",  # let Asahi choose, or name a model
    messages=[{"role": "user", "content": "What is the capital of France?"}],
)
print(completion.choices[0].message.content)
print(completion.model_extra["asahi"])  # model, cost, savings, cache tier`,
    },
    {
      id: 'openai-node',
      title: 'OpenAI · Node',
      before: 'npm install openai',
      code: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}/v1", apiKey: ${nodeKey} });

const stream = await client.chat.completions.create({
  model: "auto", // let Asahi choose, or name a model
  messages: [{ role: "user", content: "What is the capital of France?" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`,
    },
    {
      id: 'anthropic-python',
      title: 'Anthropic · Python',
      before: 'pip install anthropic',
      code: `${pythonImport}from anthropic import Anthropic

client = Anthropic(base_url="${base}", api_key=${pythonKey})

message = client.messages.create(
    model="auto",  # let Asahi choose, or name a model
    max_tokens=256,
    messages=[{"role": "user", "content": "What is the capital of France?"}],
)
print(message.content[0].text)`,
    },
    {
      id: 'anthropic-node',
      title: 'Anthropic · Node',
      before: 'npm install @anthropic-ai/sdk',
      code: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "${base}", apiKey: ${nodeKey} });

const message = await client.messages.create({
  model: "auto", // let Asahi choose, or name a model
  max_tokens: 256,
  messages: [{ role: "user", content: "What is the capital of France?" }],
});
console.log(message.content[0].text);`,
    },
  ];
}
