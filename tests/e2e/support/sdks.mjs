/** The public clients, imported in one place: tests outside this folder reach the pinned versions through here. */
export { default as OpenAI } from "openai";
export { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
export { default as Anthropic } from "@anthropic-ai/sdk";
export { z } from "zod";
