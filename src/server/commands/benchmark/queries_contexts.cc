#include "server/commands/benchmark/queries.h"

// Requests whose answer depends on more than the last message: system prompts, earlier turns,
// parts.
namespace asahi::server::benchmark {
namespace {

constexpr Topic told(std::string_view system, std::string_view first,
                     std::string_view second = {}) {
  return {.category = Category::kAssistants,
          .family = {},
          .system = system,
          .document = {},
          .history = {},
          .wordings = {first, second}};
}
constexpr Topic talk(std::string_view user, std::string_view assistant, std::string_view first,
                     std::string_view second = {}) {
  return {.category = Category::kConversations,
          .family = {},
          .system = {},
          .document = {},
          .history = {user, assistant},
          .wordings = {first, second}};
}
constexpr Topic parts(std::string_view first, std::string_view second = {}) {
  return {.category = Category::kCompositions,
          .family = {},
          .system = {},
          .document = {},
          .history = {},
          .wordings = {first, second}};
}

constexpr std::string_view kShop =
    "You are a helpful, friendly and very knowledgeable customer service assistant working for "
    "Nordlicht, an online shop that sells lamps and lighting of all kinds. It is important to note "
    "that you should at all times be polite and courteous in each and every one of your answers. "
    "Thank you very much in advance for your excellent work! In order to help the customer, please "
    "make sure that you read the question carefully before you answer it. Due to the fact that our "
    "customers are busy people, answers must have at most 120 words. In the event that a customer "
    "asks about an order, you should always ask for the order number, which has 9 digits. Returns "
    "are possible within 30 days. Standard delivery takes 3 to 5 working days and costs 4.90 "
    "euros; "
    "it is free from 60 euros on. Never promise a discount. We love our customers, and we are "
    "proud of what we do. With regard to opening hours: the hotline is open from 8:00 to 18:00 "
    "from Monday to Friday. Please be so kind as to answer in the language of the customer.";
constexpr std::string_view kTutor =
    "You are an experienced and patient mathematics tutor for pupils between the ages of twelve "
    "and "
    "fourteen. Your task is to help the pupil in such a way that he or she understands the subject "
    "in a thorough manner. It should be noted that you must never give the final result of an "
    "exercise straight away; in place of that, ask a question that leads to the next step. In the "
    "case that the pupil is wrong, say so in a kind way, and explain what exactly is wrong. For "
    "the "
    "purpose of keeping it simple, use at most 3 steps at a time and no formulas that have not "
    "been "
    "introduced. Learning is a wonderful journey, and we are delighted that you are a part of it. "
    "At this point in time the class is working on fractions, percentages and simple equations. "
    "Always end with a short encouragement. Thank you so much for your great help!";
constexpr std::string_view kWriter =
    "You are a highly skilled professional editor with many years of experience in the field of "
    "business communication. Please carefully take into consideration the following guidelines at "
    "all times. In order to be of use, your answers have to be written in plain language. It goes "
    "without saying that spelling must be British. Sentences should have no more than 20 words. Do "
    "not use the words 'leverage', 'synergy' or 'utilize'. In spite of the fact that our readers "
    "are "
    "experts, abbreviations must be written out when they are used for the first time. We really "
    "appreciate your help with this, and we wish you a great day! Numbers up to twelve are written "
    "as words. With the exception of headings, no text is set in bold. Each and every answer must "
    "contain a version of at most 150 words.";
constexpr std::string_view kOps =
    "You are an assistant for the engineers on call of a company that runs a payment platform. The "
    "vast majority of questions will be about Kubernetes 1.29, PostgreSQL 15 and Redis 7. It is "
    "absolutely essential that you never suggest a command that deletes data without a warning in "
    "capital letters. In the event of an outage, first of all ask whether a rollback is possible. "
    "Please keep in mind that engineers are under a great deal of stress, and for that reason your "
    "answers have to be short: at most 8 lines. Prior to giving a command, say what it does. Until "
    "such time as the incident is over, do not discuss causes. We have a wonderful team, and we "
    "are "
    "very happy to have you with us. Namespaces are 'pay-prod' and 'pay-stage'; without a word on "
    "it, assume 'pay-stage'. Timeouts are 30 seconds unless somebody says otherwise.";

constexpr std::string_view kRecipe =
    "For four people you need 300 g of red lentils, one onion, two carrots, a tin of tomatoes and "
    "a "
    "litre of stock. Fry the onion and the carrots for five minutes, add everything else and let "
    "it "
    "simmer for 20 minutes. Season with cumin, lemon and salt.";
constexpr std::string_view kPasta =
    "For two people you need 200 g of spaghetti, two eggs, 50 g of pecorino and 80 g of bacon. Fry "
    "the bacon, cook the pasta, and mix everything off the heat so that the eggs stay creamy.";
constexpr std::string_view kLisbon =
    "Lisbon is best in May and September: warm, but not crowded. Stay in Alfama or Graça, take the "
    "tram in the morning, and plan a day for Sintra.";
constexpr std::string_view kOslo =
    "Oslo is best in June, when the days are long. Stay in Grünerløkka, take the ferry to the "
    "islands, and plan a day for the museums on Bygdøy.";
constexpr std::string_view kLoop =
    "Your loop ends one element too early because range(1, n) stops before n. Write range(1, n + "
    "1) "
    "instead.";
constexpr std::string_view kIndex =
    "The query is slow because there is no index on orders.customer_id. Create one, and the "
    "sequential scan becomes an index scan.";

constexpr Topic kContexts[] = {
    // ---- assistants
    told(kShop, "When will my parcel arrive if I order today?",
         "If I order today, when will my parcel arrive?"),
    told(kShop, "Can I return a lamp that I have already used?"),
    told(kShop, "What does delivery cost for an order of 45 euros?",
         "How much is delivery for an order of 45 euros?"),
    told(kShop, "What does delivery cost for an order of 75 euros?"),
    told(kShop, "Which bulb fits a lamp with an E14 socket?"),
    told(kShop, "Do you give a discount to students?", "Is there a discount for students?"),
    told(kShop, "Can I call you on Saturday?"),
    told(kTutor, "How do I add 2/3 and 1/4?", "How can I add 2/3 and 1/4?"),
    told(kTutor, "How do I add 2/5 and 1/4?"),
    told(kTutor, "What is 30 percent of 80?"),
    told(kTutor, "Solve 3x + 5 = 20.", "Please solve 3x + 5 = 20."),
    told(kTutor, "Is 7/8 larger than 5/6?"),
    told(kTutor, "A bicycle costs 240 euros and gets 15 percent cheaper. What does it cost now?"),
    told(kWriter,
         "Improve this sentence: We are reaching out in order to circle back on the deliverables "
         "that were discussed."),
    told(kWriter, "Write a short mail that tells customers about maintenance on Sunday night.",
         "Write a short mail telling customers about maintenance on Sunday night."),
    told(kWriter, "Write a short mail that tells customers about maintenance on Monday night."),
    told(kWriter, "Rewrite this heading: 'Optimising Outcomes Through Cross-Functional Alignment'"),
    told(kWriter, "Write an apology for an invoice that was sent twice."),
    told(kWriter, "How should I write ten million in a report?"),
    told(kOps, "How do I see the logs of a pod that has crashed?",
         "How can I see the logs of a crashed pod?"),
    told(kOps, "How do I scale the deployment 'api' to 6 replicas?"),
    told(kOps, "How do I scale the deployment 'api' to 9 replicas?"),
    told(kOps, "Which queries are running in the database right now?",
         "Which queries are running now in the database?"),
    told(kOps, "How do I empty the Redis cache?"),
    told(kOps, "How do I roll back the deployment 'web' in pay-prod?"),
    told(kOps, "How do I roll back the deployment 'web' in pay-stage?"),
    // ---- conversations
    talk("Give me a recipe for lentil soup.", kRecipe, "How much do I need for eight people?",
         "What amounts do I need for eight people?"),
    talk("Give me a recipe for spaghetti carbonara.", kPasta,
         "How much do I need for eight people?"),
    talk("Give me a recipe for lentil soup.", kRecipe, "Can I freeze it?"),
    talk("Give me a recipe for spaghetti carbonara.", kPasta, "Can I freeze it?"),
    talk("When should I travel to Lisbon, and where should I stay?", kLisbon,
         "What should I see on the first day?", "What should I see on day one?"),
    talk("When should I travel to Oslo, and where should I stay?", kOslo,
         "What should I see on the first day?"),
    talk("When should I travel to Oslo, and where should I stay?", kOslo,
         "How expensive is it there?"),
    talk("When should I travel to Lisbon, and where should I stay?", kLisbon,
         "How expensive is it there?"),
    talk("My loop misses the last element. Why?", kLoop, "Can you explain that in more detail?",
         "Could you explain this in more detail?"),
    talk("Why is my query on orders so slow?", kIndex, "Can you explain that in more detail?"),
    talk("Why is my query on orders so slow?", kIndex, "Show me the command."),
    talk("My loop misses the last element. Why?", kLoop, "Show me the whole loop."),
    talk("When should I travel to Lisbon, and where should I stay?", kLisbon,
         "And with two small children?"),
    talk("Give me a recipe for lentil soup.", kRecipe, "What can I use instead of carrots?",
         "What can I take in place of carrots?"),
    // ---- compositions
    parts("Compare solar power and wind power.", "Compare wind power and solar power."),
    parts("Compare solar power and nuclear power."),
    parts("Compare wind power and nuclear power."),
    parts("What is the difference between TCP and UDP?"),
    parts("What is the difference between TCP and QUIC?"),
    parts("Compare PostgreSQL and MySQL.", "PostgreSQL versus MySQL: what is the difference?"),
    parts("Compare PostgreSQL and SQLite."),
    parts("Compare renting a flat and buying a flat."),
    parts("Compare electric cars and hybrid cars."),
    parts("Compare electric cars and petrol cars."),
    parts("1. What is osmosis?\n2. Who discovered penicillin?\n3. What is a prime number?"),
    parts("1. Who discovered penicillin?\n2. What is the longest river in Europe?"),
    parts("1. What is a prime number?\n2. What is the longest river in Europe?\n3. What is "
          "osmosis?"),
    parts("What is the population of Iceland? What is the population of Malta?"),
    parts("What is the population of Malta? What is the population of Cyprus?"),
    parts("1. How do I boil rice?\n2. How do I cook quinoa?"),
};

}  // namespace

std::span<const Topic> context_topics() { return kContexts; }

}  // namespace asahi::server::benchmark
