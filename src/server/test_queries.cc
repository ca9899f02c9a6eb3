#include "server/test_queries.h"

#include <array>
#include <string_view>

namespace asahi::server {
namespace {

// 14 summarization, 14 classification, 14 reasoning, 13 questions, 12 creative, 11 code, 11
// extraction, 11 translation.
constexpr std::array<std::string_view, 100> kQueries = {
    "Summarize: The harbour froze for six weeks, so the fishing fleet stayed in port and prices "
    "doubled at the market.",
    "Give a brief summary of a meeting where three teams agreed to move the release from May to "
    "June because of testing.",
    "TLDR: our office moves to the fourth floor on Monday, badges change, parking stays the same.",
    "Recap the plot of a story in which a lighthouse keeper finds a letter and sails to its "
    "sender.",
    "Summarize the advantages of public libraries in two sentences.",
    "Write an overview of how a bill becomes a law for a ten-year-old.",
    "Summarize this review: the hotel was clean, the staff friendly, but the street was loud until "
    "three in the morning.",
    "Give me the summary of a report that says sales rose 12 % in spring and fell 4 % in summer.",
    "Recap what photosynthesis does in one line.",
    "Summarize: The committee met twice, rejected the first draft, accepted the second, and asked "
    "for a budget by Friday.",
    "Write a brief overview of the water cycle.",
    "Summarize the rules of chess for somebody who knows draughts.",
    "TLDR of this message: the pump failed at noon, spare parts arrive tomorrow, production runs "
    "at half speed until then.",
    "Summarize why the old bridge was closed: rust in the main cables, found during the yearly "
    "inspection.",
    "Classify the sentiment: 'I waited an hour and nobody came.'",
    "Classify this ticket as billing, technical or other: 'My invoice shows two charges for "
    "March.'",
    "Label the language of this sentence: 'Wo ist der Bahnhof?'",
    "Categorize these items as fruit or vegetable: carrot, plum, leek, fig.",
    "Tag this headline with one topic: 'Central bank holds rates for a third month'.",
    "Classify the sentiment of 'The battery lasts for days and the screen is gorgeous'.",
    "Label this email as spam or not spam: 'You have won a cruise, click to claim'.",
    "Categorize the animal: a bat is a mammal, a bird or an insect?",
    "Classify the urgency as low, medium or high: 'The whole site is down for all customers.'",
    "Tag the emotion in 'I can't believe they remembered my birthday!'",
    "Classify this review as one to five stars: 'Decent food, slow service, fair price.'",
    "Categorize the expense 'train ticket Berlin to Hamburg' for an accountant.",
    "Label the part of speech of 'quickly' in 'She quickly left the room'.",
    "Classify the number 51 as prime or composite.",
    "Explain why the sky is blue.",
    "Why does ice float on water?",
    "If all bloops are razzies and some razzies are lazzies, are some bloops lazzies? Explain your "
    "reasoning.",
    "Explain the cause of the seasons.",
    "A train leaves at 9:40 and arrives at 13:05. Reason out how long the journey takes.",
    "Why do prices rise when supply falls?",
    "Analyze why a startup with growing sales may still run out of cash.",
    "Explain why leap years exist.",
    "Why is it harder to breathe on a mountain?",
    "Tom is older than Ann, Ann is older than Jim. Who is the youngest? Explain.",
    "Explain because of what bread rises.",
    "Analyze the trade-off between batch size and latency in a queue.",
    "Why does a boomerang come back?",
    "Reason step by step: a shirt costs 40 after a 20 % discount. What was the first price?",
    "What is the capital of Norway?",
    "What is a hash table?",
    "Who is the author of Don Quixote?",
    "When did the Berlin Wall fall?",
    "Where is the Sea of Tranquility?",
    "How do I reset a forgotten router password?",
    "What are the three states of matter taught at school?",
    "What is the boiling point of water at sea level?",
    "Tell me about the Great Barrier Reef.",
    "What is the difference between weather and climate?",
    "How do I convert miles to kilometres?",
    "What is an API key?",
    "Who is credited with the theory of general relativity?",
    "Write a poem about a sleeping city.",
    "Write a haiku about rain on a tin roof.",
    "Write a story of fifty words about a lost glove.",
    "Compose a limerick about a cat that hates Mondays.",
    "Write a creative slogan for a bakery that opens at four in the morning.",
    "Write lyrics for a chorus about leaving home.",
    "Invent a creative name for a tea that tastes of smoke.",
    "Write a poem of four lines about the first day of school.",
    "Write a story in which a clock decides to run backwards.",
    "Compose a short toast for a retirement party.",
    "Write a haiku about a broken printer.",
    "Write fiction: one paragraph about a librarian on the moon.",
    "Write code for a Python function that reverses a linked list.",
    "Implement binary search in Java.",
    "Debug this: for i in range(10) print(i)",
    "Write a JavaScript function that removes duplicates from an array.",
    "Refactor a nested if into early returns; show a small Python example.",
    "Implement an algorithm to check whether a string is a palindrome in TypeScript.",
    "Write code that reads a CSV file and sums the third column in Python.",
    "Write a SQL query for the ten customers with the most orders.",
    "Implement a class for a stack with push, pop and peek in Python.",
    "Write a function that validates an e-mail address with a regular expression in JavaScript.",
    "Fix this code: def add(a, b) return a + b",
    "Extract all dates from: 'We met on 3 May 2021 and again on 14 June 2022.'",
    "Extract the names from: 'Maria called Peter about the flat in Lisbon.'",
    "Pull the price out of: 'The lamp is now 39.90 euros instead of 59.00.'",
    "Extract the phone number from: 'Call 555-0142 after six.'",
    "List every city in: 'From Oslo we flew to Rome and took the train to Milan.'",
    "Extract the verbs from: 'She runs, jumps and laughs.'",
    "Find the order number in: 'Your order AX-2291 leaves the warehouse today.'",
    "Extract the ingredients from: 'Mix flour, two eggs and a cup of milk.'",
    "Extract the company and the position: 'Lena started as head of design at Nordwind.'",
    "Find all numbers in: 'Three boxes, 12 bottles, 7 crates.'",
    "Extract the deadline from: 'Please send the draft before noon on Friday.'",
    "Translate to French: Good morning, how are you?",
    "Translate into Spanish: The library closes at eight.",
    "Translate to German: I would like a cup of coffee, please.",
    "Translate 'thank you very much' to Japanese.",
    "Translate to Italian: Where is the nearest pharmacy?",
    "Translate into Portuguese: The weather is beautiful today.",
    "Translate 'see you tomorrow' in Korean.",
    "Translate to Dutch: The train is ten minutes late.",
    "Translate into Swedish: My brother lives in the north.",
    "Translate to English: Je voudrais réserver une table pour deux.",
    "Translate to Polish: Happy birthday!",
};

}  // namespace

std::vector<std::string> built_in_queries() { return {kQueries.begin(), kQueries.end()}; }

}  // namespace asahi::server
