#include "server/commands/benchmark/queries.h"

// Work for a model: code, reasoning, texts to be summarised, sorted, translated or written.
namespace asahi::server::benchmark {
namespace {

constexpr Topic work(Category category, std::string_view first, std::string_view second = {},
                     std::string_view document = {}) {
  return {.category = category,
          .family = {},
          .system = {},
          .document = document,
          .history = {},
          .wordings = {first, second}};
}

using enum Category;

constexpr std::string_view kMinutes =
    "The steering group met on 14 March in room 4. Seven of nine members were present. The group "
    "looked at the first results of the pilot in Leeds, where 312 households took part. On average "
    "they used 9 % less electricity than in the year before. Two members asked whether the mild "
    "winter explains a part of that. It was agreed that the figures are to be corrected for "
    "temperature before they are published. The budget stands at 84,000 pounds, of which 51,200 "
    "are spent. Ms Okafor will ask the council for an extension until 30 June. The next meeting "
    "is on 11 April.";
constexpr std::string_view kIncident =
    "At 09:12 the first customers reported that uploads failed. The team on duty saw at 09:20 that "
    "the disk of the second storage node was full. The clean-up job had not run since Friday, "
    "because its certificate had expired. At 09:41 old files were removed by hand and uploads "
    "worked again. About 1,900 uploads failed in the meantime; all were repeated by the clients. "
    "Nothing was lost. From now on an alarm goes off when the clean-up job does not run for a "
    "day, and certificates are renewed 30 days before they expire.";
constexpr std::string_view kArticle =
    "For most of its history the valley lived on apples. In the 1970s more than two hundred farms "
    "grew them, and every autumn a train a day took the crop to the coast. Then the railway was "
    "closed, cheaper fruit came in from abroad, and one orchard after the other was given up. In "
    "the last ten years this has turned round. Young families bought abandoned farms, planted old "
    "varieties and began to press cider. Last year 38 farms sold 410,000 litres, most of it to "
    "visitors. The old station is a restaurant now, and the local council is thinking about a "
    "cycle path on the line.";
constexpr std::string_view kReview =
    "I bought the washing machine in May and have used it about four times a week since then. It "
    "is quiet, even when it spins at 1,400 revolutions, and the short programme really takes only "
    "28 minutes. What annoys me is the drawer for detergent: it never gets quite empty, and after "
    "a month there was mould in it. The app wants a new login every few days. Support answered "
    "within a day, though, and sent me a new drawer, which is no better. All in all I would buy it "
    "again, but not at the full price.";
constexpr std::string_view kLease =
    "The tenant may end the lease with a notice of three months to the end of a month. The "
    "landlord may end it only for a good reason, with a notice of six months. The rent of 1,150 "
    "euros is due on the third working day of each month. Pets other than small animals in cages "
    "need the landlord's consent. The tenant pays for repairs up to 90 euros each and 270 euros "
    "a year in total. The deposit of two months' rent is returned within six months after the "
    "tenant has moved out, less what is owed for damage.";
constexpr std::string_view kScience =
    "Mangroves grow where land and sea meet. Their roots slow down the water, so that mud settles "
    "and the coast grows instead of being washed away. Young fish hide between the roots, which "
    "is why catches offshore are larger where mangroves are healthy. They store up to four times "
    "as much carbon per hectare as rainforest on dry land, most of it in the soil. When the trees "
    "are cut for shrimp ponds, that carbon is set free within a few years. Replanting often fails, "
    "because the young trees are put where the tide is too high for them; where the natural flow "
    "of water is restored instead, the forest comes back by itself.";
constexpr std::string_view kMemo =
    "From 1 October all travel is booked through the new portal. Rail is the first choice for "
    "journeys of up to five hours. Flights need the approval of the head of department, except "
    "for journeys to customers abroad. Hotels may cost up to 140 euros a night, 180 in capitals. "
    "Receipts are photographed and uploaded within ten days; paper is no longer accepted. Whoever "
    "has booked elsewhere before 1 October is paid by the old rules until the end of the year.";
constexpr std::string_view kStory =
    "When Mira came home the door stood open. Nothing was missing, but on the kitchen table there "
    "was a cake, still warm, with eleven candles. She was thirty-four. She asked the neighbours, "
    "and nobody had seen anyone. Only in the evening, when the old man from the third floor came "
    "down in his best suit and asked shyly whether the party had begun, did she understand: the "
    "girl who had lived in her flat before had turned eleven that day, and he had not noticed that "
    "the family had moved out in spring. Mira lit the candles.";

constexpr Topic kTasks[] = {
    // ---- coding
    work(kCoding, "Write a Python function that checks whether a string is a palindrome.",
         "Write a function in Python which checks if a string is a palindrome."),
    work(kCoding, "Write a SQL query that finds customers without an order.",
         "Write an SQL query to find customers who have no order."),
    work(kCoding, "Implement binary search in Java.", "Write binary search in Java."),
    work(kCoding, "Write a regular expression that matches dates such as 2024-05-31.",
         "Give me a regular expression for dates like 2024-05-31."),
    work(kCoding, "Write a bash script that deletes files older than 30 days.",
         "Write a bash script to delete files which are older than 30 days."),
    work(kCoding, "Fix this code: for i in range(10) print(i)",
         "Please fix this code: for i in range(10) print(i)"),
    work(kCoding, "Write a TypeScript type that makes all fields of another type optional."),
    work(kCoding, "Implement a least recently used cache in Python.",
         "Implement an LRU cache in Python."),
    work(kCoding, "Write a function in C that reverses a linked list.",
         "Write a C function to reverse a linked list."),
    work(kCoding, "Write a unit test for a function that adds two numbers in JavaScript."),
    work(kCoding,
         "Refactor this code so that it needs no global variable: counter = 0\ndef "
         "add(): global counter; counter += 1"),
    work(kCoding, "Write a Dockerfile for a small Flask application.",
         "Write a Dockerfile for a little Flask app."),
    work(kCoding, "Write a JavaScript function that removes duplicates from an array.",
         "Write a function in JavaScript to remove duplicates from an array."),
    work(kCoding, "Implement quicksort in Rust.", "Write quicksort in Rust."),
    work(kCoding, "Write a Go program that counts the words of a file."),
    work(kCoding, "Debug this query: SELECT name, COUNT(*) FROM users WHERE COUNT(*) > 1"),
    work(kCoding, "Write a Python class for a bank account with deposit and withdraw methods."),
    work(kCoding, "Write CSS that centres a box both ways."),
    work(kCoding, "Write a git hook that refuses commits without a ticket number."),
    work(kCoding, "Implement a rate limiter with a token bucket in Go.",
         "Implement a token bucket rate limiter in Go."),
    work(kCoding, "Write a Makefile for a C program with two source files."),
    work(kCoding, "Write a Python script that renames all photos of a folder by date taken."),
    work(kCoding, "Write a function that validates an IBAN in PHP."),
    work(kCoding, "Implement a thread-safe singleton in C++."),
    // ---- reasoning
    work(kReasoning, "Why does ice float on water?", "Why is ice floating on water?"),
    work(kReasoning, "Explain why the sky is blue.", "Why is the sky blue?"),
    work(kReasoning,
         "Three friends share a bill of 96 euros. Ada pays twice as much as Ben, and Ben pays the "
         "same as Cem. How much does each pay? Explain."),
    work(kReasoning, "Explain why leap years exist.", "Why do leap years exist?"),
    work(kReasoning,
         "A shop sells pens at 3 for 2 euros. How many pens do I get for 14 euros? Explain the "
         "reasoning."),
    work(kReasoning, "Why do cats purr?", "What is the reason that cats purr?"),
    work(kReasoning,
         "All the roses in the garden are red. Some red flowers fade early. Can we conclude that "
         "some roses fade early? Explain."),
    work(kReasoning, "Analyze why small companies pay more for credit than large ones.",
         "Analyse why small firms pay more for credit than large ones."),
    work(kReasoning, "Why does bread rise?", "Explain what makes bread rise."),
    work(kReasoning,
         "A train leaves at 8:50 and takes 3 hours 25 minutes. When does it arrive? Explain."),
    work(kReasoning, "Why is sea water salty?", "Explain why sea water is salty."),
    work(kReasoning, "Explain why two-phase commit can block.", "Why can two-phase commit block?"),
    work(kReasoning, "Why do stars twinkle and planets hardly?"),
    work(kReasoning,
         "If it takes five machines five minutes to make five parts, how long do a hundred "
         "machines need for a hundred parts? Explain."),
    work(kReasoning, "Explain why insurance gets dearer for everybody when only the sick buy it."),
    work(kReasoning, "Why do we see lightning before we hear thunder?",
         "Why is lightning seen before thunder is heard?"),
    work(kReasoning, "Analyze the causes of traffic jams without an obstacle."),
    work(kReasoning, "Why does a spinning top not fall over?"),
    // ---- summaries
    work(kSummaries, "Summarize these minutes in three sentences:",
         "Give me a summary of these minutes in three sentences:", kMinutes),
    work(kSummaries, "Summarize this incident report for the management:", "", kIncident),
    work(kSummaries,
         "Summarize this article:", "Please give me a summary of this article:", kArticle),
    work(kSummaries, "Write a TLDR of this review:", "", kReview),
    work(kSummaries, "Give a brief overview of this contract:",
         "Give me a brief overview of this contract:", kLease),
    work(kSummaries, "Summarize this text for a ten-year-old:", "", kScience),
    work(kSummaries, "Recap this memo in two sentences:", "Recap this memo in 2 sentences:", kMemo),
    work(kSummaries, "Summarize the plot of this story:", "", kStory),
    work(kSummaries, "Summarize this incident report in one sentence:", "", kIncident),
    work(kSummaries, "Summarize what this text says about carbon:", "", kScience),
    work(kSummaries, "Summarize this memo for somebody who books a flight:", "", kMemo),
    work(kSummaries, "Summarize the good and the bad sides that this review names:", "", kReview),
    work(kSummaries, "Write a one-line summary of these minutes:", "", kMinutes),
    work(kSummaries, "Write a summary of this article of at most 40 words:", "", kArticle),
    work(kSummaries, "Summarize the tenant's duties in this contract:", "", kLease),
    // ---- sorting
    work(kSorting, "Classify the sentiment of this review as positive, mixed or negative:", "",
         kReview),
    work(kSorting,
         "Classify this ticket as billing, technical or other: 'I was charged twice in April.'",
         "Label this ticket as billing, technical or other: 'I was charged twice in April.'"),
    work(kSorting, "Extract all dates from these minutes:", "", kMinutes),
    work(kSorting, "Extract all amounts of money from this contract:", "", kLease),
    work(kSorting, "Label the language of this sentence: 'Dove posso comprare un biglietto?'"),
    work(kSorting, "Categorize these items as tool or material: hammer, plank, saw, glue."),
    work(kSorting, "Classify the urgency as low, medium or high: 'The printer is out of paper.'"),
    work(kSorting, "Classify the urgency as low, medium or high: 'Nobody can log in any more.'"),
    work(kSorting, "Extract the names of all persons from this story:", "", kStory),
    work(kSorting, "Tag this headline with one topic: 'Striker breaks record in cup final'"),
    work(kSorting, "Classify this text as news, opinion or advertising:", "", kArticle),
    work(kSorting, "Extract the times at which something happened from this report:", "",
         kIncident),
    work(kSorting, "Label each word as noun or verb: run, table, sing, river."),
    work(kSorting, "Classify the sentiment: 'I would recommend it to anybody.'"),
    // ---- translations
    work(kTranslations, "Translate to French: Where is the nearest pharmacy?",
         "Translate into French: Where is the nearest pharmacy?"),
    work(kTranslations, "Translate to Spanish: Where is the nearest pharmacy?"),
    work(kTranslations, "Translate to German: The meeting was moved to Friday."),
    work(kTranslations, "Translate to German: The meeting was not moved to Friday."),
    work(kTranslations, "Translate to Italian: Thank you for your patience."),
    work(kTranslations, "Translate this memo to Spanish:", "", kMemo),
    work(kTranslations, "Translate to Japanese: Good morning, everyone.",
         "Translate into Japanese: Good morning, everyone."),
    work(kTranslations, "Translate 'the early bird catches the worm' to Portuguese."),
    work(kTranslations,
         "Translate to English: Der Zug nach Bremen hat zwanzig Minuten Verspätung."),
    work(kTranslations, "Translate to English: Je voudrais réserver une table pour quatre."),
    work(kTranslations, "Translate this review to German:", "", kReview),
    work(kTranslations, "Translate to Dutch: Please close the window when it rains."),
    // ---- creative
    work(kCreative, "Write a haiku about the first snow.", "Compose a haiku about the first snow."),
    work(kCreative, "Write a story of five sentences about a lighthouse that is lonely."),
    work(kCreative, "Write a limerick about a programmer who is afraid of mice."),
    work(kCreative, "Write a short toast for the wedding of two beekeepers."),
    work(kCreative, "Invent three names for a bakery in a former fire station."),
    work(kCreative, "Write a poem about a river in two stanzas."),
    work(kCreative, "Continue this story with a surprising end:", "", kStory),
    work(kCreative, "Write lyrics for a lullaby about the moon."),
    work(kCreative, "Write a dialogue between a clock and a calendar."),
    work(kCreative, "Invent a slogan for a bicycle repair shop.",
         "Come up with a slogan for a bicycle repair shop."),
};

}  // namespace

std::span<const Topic> task_topics() { return kTasks; }

}  // namespace asahi::server::benchmark
