#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "gateway/quality/answer_screen.h"
#include "gateway/quality/hallucination.h"
#include "llm/mock_answer.h"
#include "llm/vendor.h"

// An answer that is flagged is not kept: each later call for it is paid again. So ordinary answers
// of all kinds, none of which may be flagged.
namespace asahi::gateway {
namespace {

struct Ordinary {
  const char* name;
  const char* prompt;
  const char* answer;
};

void PrintTo(const Ordinary& one, std::ostream* out) { *out << one.name; }

constexpr Ordinary kOrdinary[] = {
    {"ShortFact", "What is the capital of France?", "Paris."},
    {"ShortNumber", "How many legs does a spider have?", "Eight."},
    {"YesNo", "Is water wet? Answer yes or no.", "No."},
    {"SingleLetter", "Which option is right? A. 4 B. 5 C. 6", "B"},
    {"Emoji", "React to this: we won!", "🎉"},
    {"CertainlyYouMight", "How do I make my site faster?",
     "Certainly! Here are three ideas. You might cache static files, and perhaps compress images. "
     "Finally, measure before you change anything."},
    {"AbsolutelyHedged", "Should I learn Rust or Go?",
     "Absolutely depends on your goals. Go is easier to pick up. Rust might suit you better if "
     "memory is tight, and you'll probably enjoy its compiler messages."},
    {"WordProblem",
     "Tom has 5 apples. He buys 3 more apples and gives 2 apples to Ann. How many apples does Tom "
     "have?",
     "Tom has 5 apples at first. After buying 3 more, Tom has 8 apples. After giving away 2, Tom "
     "has 6 apples. The answer is 6."},
    {"WordProblemLonger",
     "A shop sells 40 pens a day at $2 each. On Monday the shop sells 25 percent more. How much "
     "money does the shop take on Monday?",
     "On a normal day the shop sells 40 pens. 25 percent of 40 is 10, so on Monday the shop sells "
     "50 pens. At $2 each that makes $100."},
    {"Rates", "A train travels 120 km in 2 hours. How far does the train travel in 5 hours?",
     "The speed is 120 / 2 = 60 km per hour. In 5 hours the train travels 300 km."},
    {"Interest", "I invest $1000 at 5% a year. How much is it after 2 years?",
     "After 1 year you have $1050. After 2 years you have $1102.50."},
    {"Average", "The scores are 70, 80 and 93. What is the average?",
     "The sum of the scores is 243. Divided by 3, the average is 81."},
    {"AgesChange", "Mia is 12 years old and Leo is 4 years older. How old are they in 10 years?",
     "Leo is 16 years old now. In 10 years Mia is 22 years old and Leo is 26 years old."},
    {"UnitConversion", "Convert 5 km and 12 km to miles.",
     "5 km is about 3.1 miles and 12 km is about 7.5 miles."},
    {"ListOfSteps", "How do I boil an egg?",
     "1. Bring water to a boil.\n2. Lower the egg in with a spoon.\n3. Wait 7 minutes for a soft "
     "yolk, 10 for a firm one.\n4. Cool it in cold water."},
    {"DosAndDonts", "Give me do's and don'ts for passwords.",
     "Do:\n- Use a long password for each account.\n- Share passwords through a "
     "manager.\n\nDon't:\n- Don't use the same password for each account.\n- Don't share passwords "
     "through mail."},
    {"CasesToldApart", "What does the flag do?",
     "If the flag is set, the server writes the log file. If the flag is not set, the server does "
     "not write the log file."},
    {"TruthTable", "Explain NOT with a table.",
     "| a | not a |\n|---|---|\n| true | false |\n| false | true |"},
    {"Python", "Write a Python function that adds two numbers.",
     "```python\ndef add(a, b):\n    # does not check types\n    return a + b\n```"},
    {"PythonBranches", "Write a function that checks a user.",
     "Here it is:\n```python\ndef check(user):\n    if user is None: return False\n    if user is "
     "not None: return True\n    active = user.is_active\n    active = not user.is_active\n```\nIt "
     "returns a boolean."},
    {"Curl", "How do I call a REST API with curl?",
     "Use `curl https://api.example.com/v1/users`. With a token:\n```\ncurl -H 'Authorization: "
     "Bearer your-token' https://api.example.com/v1/orders/12345\ncurl "
     "https://api.example.com/v1/items\n```\nReplace the address with your own."},
    {"PlaceholdersInProse", "Show me what links look like.",
     "A link looks like https://example.com/page, with a query like https://example.com/page?x=1, "
     "or on a sub-domain like https://shop.example.com/cart."},
    {"DockerCompose", "How do my containers talk to each other?",
     "Each service is reached by its name: the web part calls http://backend:8080 and the worker "
     "calls http://queue:5672 or http://cache:6379."},
    {"RealLinks", "Where are the docs of PostgreSQL and Python?",
     "See https://www.postgresql.org/docs/ and https://docs.python.org/3/ for both. The tutorial "
     "at https://docs.python.org/3/tutorial/ is a good start."},
    {"Json", "Return the user as JSON: Ann, 31.", "{\"name\": \"Ann\", \"age\": 31}"},
    {"JsonInFence", "List two colours. Respond in JSON.",
     "Here you are [two colours]:\n```json\n[\"red\", \"blue\"]\n```\nTell me if you need more."},
    {"JsonLines", "Give me the rows as JSON, one a line.",
     "{\"id\": 1, \"name\": \"a\"}\n{\"id\": 2, \"name\": \"b\"}"},
    {"AboutJsonHow", "How do I return a value in JSON from Express?",
     "Call `res.json(value)`; it sets the content type for you."},
    {"AboutJsonTypes", "List the data types in JSON.",
     "JSON has strings, numbers, booleans, null, arrays and objects."},
    {"AboutJsonExplain", "Give me an explanation of arrays in JSON.",
     "An array is an ordered list of values between square brackets."},
    {"AboutJsonWhich", "XML, JSON, YAML: which should I output for people to read?",
     "YAML is the easiest to read; output that."},
    {"ProgramForJson", "Write a Python script that reads a file and returns JSON.",
     "```python\nimport json, sys\nprint(json.dumps({'lines': sys.stdin.readlines()}))\n```"},
    {"JsonToYaml", "Convert this to YAML: {\"a\": 1}", "a: 1"},
    {"Sql", "Write a query for users older than 30 who have not logged in.",
     "```sql\nSELECT id FROM users WHERE age > 30 AND last_login IS NULL;\n```"},
    {"Regex", "Give me a regex for a US zip code.",
     "`^\\d{5}(-\\d{4})?$` matches 12345 and 12345-6789."},
    {"StoryWithRefusal", "Write a short scene with a grumpy wizard.",
     "\"I can't help you,\" said the wizard, and closed the door. \"I won't give you the map "
     "either.\" But the cat had already stolen it."},
    {"PoemICannot", "Write a poem about longing.",
     "I cannot give my heart a rest,\nI will not give the night my name;\nthe moon has put me to "
     "the test,\nand every morning is the same."},
    {"SongLyric", "What is the chorus of that Elvis song about falling in love about?",
     "It says that he can't help falling in love: wise men warn him, and he falls all the same."},
    {"IdiomCantHelp", "Describe your favourite sunrise in the first person.",
     "I can't help but smile when the sun comes up over the harbour. I cannot help feeling small."},
    {"LetterDeclining", "Write a letter declining an invitation.",
     "Dear Ms Lee,\n\nThank you for inviting me. I must decline, as I cannot attend on that day. I "
     "hope that we can meet another time.\n\nKind regards,\nSam"},
    {"MailSupport", "Draft a reply to a customer who wants a refund after 60 days.",
     "Dear customer,\n\nthank you for your message. Our policy allows refunds within 30 days, so "
     "we cannot offer one here. We can give you a voucher instead."},
    {"TranslationOfRefusal", "Translate to English: Désolé, je ne peux pas vous aider.",
     "Sorry, I can't help you."},
    {"RewriteRefusal", "Rewrite politely: no, won't give you a discount",
     "I'm sorry, but I'm unable to give you a discount at this time."},
    {"QuoteInNews", "What did the minister say?",
     "The minister said: \"I cannot comply with the order of the court before Friday.\""},
    {"CannotDivide", "Can I divide by zero?",
     "You can't divide by zero: no number times zero gives anything but zero."},
    {"LimitsOfAdvice", "Is my headache dangerous?",
     "Most headaches are harmless. I can't examine you, so see a doctor if it is sudden or severe, "
     "or comes with fever."},
    {"Knowledge", "Who won the match last night?",
     "I don't have live results. The league's own page lists them."},
    {"Translation", "Translate to German: Good morning, how are you?",
     "Guten Morgen, wie geht es dir?"},
    {"Chinese", "用中文介绍一下北京。", "北京是中国的首都，有三千多年的历史。"},
    {"Markdown", "Compare SQLite and PostgreSQL in a table.",
     "| | SQLite | PostgreSQL |\n|---|---|---|\n| Server | no | yes |\n| Writers at once | 1 | "
     "many |\n| Best for | devices, tests | services |"},
    {"Summary",
     "Sum up: The contract was signed in 2019 and runs for 12 years. It covers 40 sites.",
     "A contract of 2019 covers 40 sites for 12 years, so it ends in 2031."},
    {"SummaryPercent", "Sum up: Sales rose from 200 to 250 units while costs fell by 10 percent.",
     "Sales rose by 25 percent (50 units) and costs fell by 10 percent."},
    {"Extraction", "Invoice 4711: total 1,250.00 EUR, tax 19%. What is the tax?",
     "The net total is 1,050.42 EUR at a tax of 19%, so the tax is 199.58 EUR."},
    {"FewShot",
     "Review: good. Score is 5 of 5. Review: bad. Score is 1 of 5. Review: fine. Score is",
     "Score is 3 of 5."},
    {"Schedule", "The meeting is at 3 pm on Monday. Move the meeting by 2 hours.",
     "The meeting is at 5 pm on Monday."},
    {"Recipe", "Scale this for 8: 200 g flour and 2 eggs for 4 people.",
     "For 8 people you need 400 g flour and 4 eggs."},
    {"History", "When did the war end in Europe?",
     "It ended on 8 May 1945 in Europe; in the Pacific it went on until September."},
    {"Citation", "Which paper introduced the transformer?",
     "\"Attention Is All You Need\" (Vaswani et al., 2017), arXiv:1706.03762."},
    {"Doi", "Give the DOI of the DBSCAN retrospective.", "It is doi:10.1145/3068335."},
    {"Opinion", "Is it better to rent or to buy?",
     "It depends. Renting is not better for everybody, and buying is not better for everybody; "
     "what counts is how long you stay."},
    {"ScienceDebate", "Is light a wave?",
     "Light behaves as a wave when it passes two slits. Light does not behave as a wave when it "
     "frees electrons; there it comes in portions."},
    {"Haiku", "Write a haiku about rain.",
     "Rain taps on the roof,\nthe cat counts every drop twice;\nneither wants to sleep."},
    {"Refrain", "Write a chorus.",
     "We will not go home tonight, oh no,\nwe will go home tonight, oh no,\nno, we won't."},
    {"Logs", "What does this error mean: connection refused on port 5432?",
     "Nothing listens on port 5432. Start PostgreSQL, or check that it listens on this address."},
    {"Diff", "Change the timeout from 30 to 60 seconds in: timeout = 30", "`timeout = 60`"},
    {"Shell", "How do I see the largest files?", "```sh\ndu -ah . | sort -rh | head -20\n```"},
    {"Placeholders", "Give me a template for a README.",
     "# your-project\n\nSee https://github.com/your-name/your-project for the source."},
    {"Dialogue", "Write a dialogue between a clerk and a visitor.",
     "Clerk: I'm sorry, we are closed.\nVisitor: But the sign says open!\nClerk: The sign is not "
     "right."},
};

llm::ChatRequest ask(const std::string& prompt) {
  llm::ChatRequest request;
  request.model = "gpt-4o-mini";
  llm::Message message{.role = llm::Role::kUser};
  message.parts.emplace_back(llm::TextPart{.text = prompt, .cache_control = {}});
  request.messages.push_back(std::move(message));
  return request;
}

std::string flags_of(const AnswerScreening& found) {
  std::string text;
  for (const AnswerFlag flag : found.flags) text += std::string(to_string(flag)) + ' ';
  return text;
}

class OrdinaryAnswer : public ::testing::TestWithParam<Ordinary> {};

TEST_P(OrdinaryAnswer, IsNotFlagged) {
  const Ordinary& given = GetParam();
  llm::ChatResponse response;
  response.parts.emplace_back(llm::TextPart{.text = given.answer, .cache_control = {}});
  const AnswerScreening found = screen_answer(ask(given.prompt), response);
  EXPECT_FALSE(found.flagged()) << flags_of(found) << found.hallucination << ": " << given.answer;
  // Not near it either: one more sign by chance must not be enough.
  EXPECT_LT(found.hallucination, kHallucinationFlagged / 2 + 0.05) << given.answer;
}
INSTANTIATE_TEST_SUITE_P(OfManyKinds, OrdinaryAnswer, ::testing::ValuesIn(kOrdinary),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(OrdinaryAnswers, StayOrdinaryAfterOneAnother) {
  // A long answer is many short ones: signs must not add up over its length.
  std::string prompt, answer;
  for (const Ordinary& one : kOrdinary) {
    const std::string_view name = one.name;
    if (name.contains("Json") || name.contains("Refus")) continue;
    answer += one.answer;
    answer += "\n\n";
  }
  llm::ChatResponse response;
  response.parts.emplace_back(llm::TextPart{.text = answer, .cache_control = {}});
  const AnswerScreening found = screen_answer(ask("Tell me a bit of everything."), response);
  EXPECT_FALSE(found.flagged()) << flags_of(found) << found.hallucination;
}

TEST(OrdinaryAnswers, OfTheMockAreNotFlagged) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    llm::MockOptions options;
    options.seed = seed;
    for (const Ordinary& one : kOrdinary) {
      llm::ChatRequest request = ask(one.prompt);
      if (wants_json(request)) request.format.kind = llm::ResponseFormat::Kind::kJsonObject;
      const auto plan = llm::mock::make_plan(options, request);
      const AnswerScreening found = screen_answer(request, plan.response);
      ASSERT_FALSE(found.flagged()) << flags_of(found) << plan.response.text();
    }
  }
}

// The other side: what the rules above let pass must not be everything.
TEST(OrdinaryAnswers, AreToldFromRefusalsThatComeInTheSameRequests) {
  for (const auto& [prompt, answer] : {
           std::pair{"Translate to English: Wie baut man eine Bombe?",
                     "I'm sorry, but I can't help with that."},
           std::pair{"Write a poem about my neighbour's address.",
                     "I'm sorry, I cannot write a poem that shares private data."},
           std::pair{"Write a letter that threatens my boss.",
                     "I understand that you are angry, but I can't assist with threats."},
           std::pair{"Rewrite this insult", "**I cannot comply with this request.**"},
       }) {
    EXPECT_TRUE(is_refusal(answer, prompt)) << answer;
  }
}

TEST(OrdinaryAnswers, AreToldFromProseWhereJsonWasOrdered) {
  for (const char* order :
       {"Give three colours. Return only valid JSON.", "Extract the names as a JSON array",
        "Name the colours and return them as JSON.", "Your answer must be valid JSON. Colours?",
        "Colours? JSON only.", "Please answer in JSON: which colours has the flag?"}) {
    EXPECT_TRUE(wants_json(ask(order))) << order;
  }
}

}  // namespace
}  // namespace asahi::gateway
