// Writes ../golden.json: texts and their ids by gpt-tokenizer, which ../encoding_test.cc holds the program to.
//   node golden.mjs > ../golden.json
import * as cl100k from "gpt-tokenizer/encoding/cl100k_base";
import * as o200k from "gpt-tokenizer/encoding/o200k_base";

const texts = [
  "", " ", "\n", "a", "Hello, world!", "Hello world", "hello   world", "  leading", "trailing   ", "tab\tand\ttab",
  "line\nline\n\nline\r\n\r\n  indented\n    more", "\n\n\n", "   \n   \n", " \t \n x", "a\n", "a \n", "\r\r\n",
  "don't can't we'll they've I'm he'd she's IT'S DON'T WE'LL", "o'clock 'tis ''quoted'' rock'n'roll l'été",
  "0 1 12 123 1234 12345 123456789012345678901234567890", "3.14159 -273.15 1e10 0x1F 1,000,000.00 $4.50 50%",
  "2024-02-29T23:59:60Z 192.168.0.1 +49 (0)30 123456",
  "The quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX. tHe QuIcK bRoWn.",
  "camelCase PascalCase snake_case SCREAMING_SNAKE kebab-case XMLHttpRequest iPhone eBay",
  "https://example.com/a/b?c=d&e=f#g user@example.com C:\\Windows\\System32 /usr/local/bin",
  "int main(int argc, char** argv) {\n\treturn argc > 1 ? 0 : -1;  // !!\n}\n",
  "def f(x):\n    if x:\n        return [i ** 2 for i in range(10)]\n    \n    return None\n",
  "<html><body class=\"x\">&nbsp;</body></html>", "{\"a\": [1, 2, {\"b\": null}], \"c\": \"\\u00e9\"}",
  "```python\nprint('hi')\n```", "| a | b |\n|---|---|\n| 1 | 2 |", "==== ---- ____ **** //// ....", "!!!???...;;;:::",
  "Ünïcödé çédille naïve façade Straße ŁÓDŹ İstanbul ıI", "Привет, мир! Как дела?", "Γειά σου Κόσμε", "שלום עולם",
  "مرحبا بالعالم ١٢٣٤", "你好,世界!今天天气怎么样?", "こんにちは世界。カタカナ ひらがな", "안녕하세요 세계", "नमस्ते दुनिया क्षत्रिय",
  "สวัสดีชาวโลก", "ខ្មែរ မြန်မာ ქართული Հայերեն አማርኛ", "👋🌍 😀😃😄 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 👍🏽", "e\u0301 vs \u00e9; a\u0308\u0323",
  "\u200b\u200d\u00ad zero\u200bwidth", "\u00a0non\u00a0breaking\u2003em\u3000ideographic", "½ ² ³ Ⅷ ① ٣ 四",
  "<|endoftext|> <|im_start|>user<|im_end|> <|endofprompt|>", "\u0000\u0001\u007f", "ﬁ ﬂ Ǆ ǅ ǆ ʰ ª º ᴬ", "𝒜𝓁𝓅𝒽𝒶 𐍈 𠜎",
  "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "abc".repeat(200), "A".repeat(333), " ".repeat(300), "\n".repeat(130), " \n".repeat(70), "=".repeat(401), "ab ".repeat(99),
  "長".repeat(150), "é".repeat(150), "😀".repeat(60), "aB".repeat(150), "xyzzyqwertyplughfrobnitz".repeat(40),
  "9".repeat(100), "\t".repeat(90) + "x", " ".repeat(120) + "x", "x" + " ".repeat(120), "'s".repeat(60), "'S'T'RE 'Ll",
  "//\n//\n///\n", "a/b/c//\r\nd", "...\n\n...\r\n", "!\n/\n?", "word/\nword", "it’s “curly” — dashes – and… ellipsis",
];
// Random strings from alphabets that meet every branch of the patterns.
let seed = 12345;
const next = (n) => ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8) % n;
const alphabets = ["abcXYZ019 \n'.,", "aAéÉ漢क्😀 \t\n", "'sSdDmMtTlLvVrReE ", " \n\r\t", "aaaab ", "01 ,.-", "ǅʰªaA'll 我"].map((a) => [...a]);
for (let i = 0; i < 70; i++) {
  const alphabet = alphabets[i % alphabets.length];
  texts.push(Array.from({ length: 5 + next(120) }, () => alphabet[next(alphabet.length)]).join(""));
}
const options = { allowedSpecial: new Set(), disallowedSpecial: new Set() };
const rows = texts.map((text) => JSON.stringify({
  text, cl100k_base: cl100k.encode(text, options), o200k_base: o200k.encode(text, options),
}));
process.stdout.write(`[\n${rows.join(",\n")}\n]\n`);
