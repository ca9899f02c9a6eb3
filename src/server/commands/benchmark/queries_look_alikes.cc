#include "server/commands/benchmark/queries.h"

// Families of questions that differ in one word that changes the answer.
namespace asahi::server::benchmark {
namespace {

constexpr Topic like(std::string_view family, std::string_view wording) {
  return {.category = Category::kLookAlikes,
          .family = family,
          .system = {},
          .document = {},
          .history = {},
          .wordings = {wording}};
}

constexpr Topic kLookAlikes[] = {
    like("port", "How do I open port 8080 in the firewall?"),
    like("port", "How do I open port 8443 in the firewall?"),
    like("port", "How do I close port 8080 in the firewall?"),
    like("year", "What were the sales figures of 2023?"),
    like("year", "What were the sales figures of 2024?"),
    like("allergy", "Which desserts can I serve to somebody who eats nuts?"),
    like("allergy", "Which desserts can I serve to somebody who doesn't eat nuts?"),
    like("convert", "How do I convert kilometres to miles?"),
    like("convert", "How do I convert miles to kilometres?"),
    like("convert", "How do I convert kilograms to pounds?"),
    like("python", "How do I install packages in Python 2.7?"),
    like("python", "How do I install packages in Python 3.12?"),
    like("sort", "How do I sort a list in Python?"),
    like("sort", "How do I sort a list in JavaScript?"),
    like("sort", "How do I sort a list in descending order in Python?"),
    like("visa", "Do I need a visa to travel from Canada to Japan?"),
    like("visa", "Do I need a visa to travel from Japan to Canada?"),
    like("capital", "What is the capital of Austria?"),
    like("capital", "What is the capital of Slovakia?"),
    like("dose", "How many milligrams of ibuprofen may an adult take per day?"),
    like("dose", "How many milligrams of ibuprofen may a child take per day?"),
    like("dose", "How many milligrams of paracetamol may an adult take per day?"),
    like("percent", "What is 15 percent of 240?"),
    like("percent", "What is 25 percent of 240?"),
    like("percent", "What is 15 percent of 420?"),
    like("enable", "How do I enable dark mode?"),
    like("enable", "How do I disable dark mode?"),
    like("meeting", "Write a mail that moves the meeting from Tuesday to Thursday."),
    like("meeting", "Write a mail that moves the meeting from Thursday to Tuesday."),
    like("owner", "Who founded the company Siemens?"),
    like("owner", "Who founded the company Bosch?"),
    like("legal", "Is it legal to record a phone call in Germany?"),
    like("legal", "Is it legal to record a phone call in France?"),
    like("legal", "Is it illegal to share a phone number in Germany?"),
    like("oven", "How long do I bake bread at 180 degrees Celsius?"),
    like("oven", "How long do I bake bread at 220 degrees Celsius?"),
    like("oven", "How long do I bake bread at 180 degrees Fahrenheit?"),
    like("ubuntu", "How do I upgrade Ubuntu 20.04 to 22.04?"),
    like("ubuntu", "How do I upgrade Ubuntu 22.04 to 24.04?"),
    like("rise", "Why do bond prices fall when interest rates rise?"),
    like("rise", "Why do bond prices rise when interest rates fall?"),
    like("postgres", "How do I grant read access to a user in PostgreSQL?"),
    like("postgres", "How do I revoke read access from a user in PostgreSQL?"),
    like("postgres", "How do I grant write access to a user in PostgreSQL?"),
    like("son", "Is Isaac the father of Jacob?"),
    like("son", "Is Jacob the father of Isaac?"),
    like("upper", "How do I make a string upper case in Java?"),
    like("upper", "How do I make a string lower case in Java?"),
    like("winter", "Which vegetables can I sow in March?"),
    like("winter", "Which vegetables can I sow in September?"),
    like("plan", "What does the starter plan cost per month?"),
    like("plan", "What does the starter plan cost per year?"),
    like("plan", "What does the professional plan cost per month?"),
    like("must", "Which documents must I bring to the appointment?"),
    like("must", "Which documents must I not bring to the appointment?"),
    like("without", "Give me a pancake recipe with eggs."),
    like("without", "Give me a pancake recipe without eggs."),
    like("lens", "What is the range of the 60 kWh battery?"),
    like("lens", "What is the range of the 80 kWh battery?"),
    like("before", "What should I eat before a marathon?"),
    like("before", "What should I eat after a marathon?"),
    like("min", "What is the minimum age for a driving licence in Spain?"),
    like("min", "What is the maximum age for a driving licence in Spain?"),
    like("import", "How do I import contacts from Outlook?"),
    like("import", "How do I export contacts from Outlook?"),
    like("import", "How do I import contacts from Thunderbird?"),
};

}  // namespace

std::span<const Topic> look_alike_topics() { return kLookAlikes; }

}  // namespace asahi::server::benchmark
