/** Deterministic embeddings: hashed words, unit length, so that texts sharing words lie close together. */
import { createHash } from "node:crypto";

/** A unit vector of `dimension` floats. Equal texts give equal vectors. */
export function embed_text(text, dimension) {
  const vector = new Float64Array(dimension);
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [text];
  for (const word of words) {
    const digest = createHash("sha256").update(word).digest();
    for (let i = 0; i + 4 <= digest.length; i += 4) {
      const hash = digest.readUInt32LE(i);
      vector[hash % dimension] += hash & 0x80000000 ? 1 : -1;
    }
  }
  const norm = Math.hypot(...vector) || 1;
  return Array.from(vector, (x) => Math.fround(x / norm));
}

/** OpenAI's base64 form: little-endian 32-bit floats. */
export function to_base64(vector) {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((x, i) => bytes.writeFloatLE(x, i * 4));
  return bytes.toString("base64");
}
