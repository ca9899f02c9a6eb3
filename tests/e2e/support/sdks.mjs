/** The public clients, imported in one place: tests outside this folder reach the pinned versions through here. */
export { default as OpenAI, toFile } from "openai";
export { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
export { default as Anthropic } from "@anthropic-ai/sdk";
export { z } from "zod";
export { AIMessageChunk, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
export { tool as langchain_tool } from "@langchain/core/tools";
export { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
export { createAnthropic } from "@ai-sdk/anthropic";
export { createOpenAI } from "@ai-sdk/openai";
export {
  embed,
  embedMany,
  generateObject,
  generateText,
  stepCountIs,
  streamObject,
  streamText,
  tool as vercel_tool,
} from "ai";
