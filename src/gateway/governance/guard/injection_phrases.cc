#include "gateway/governance/guard/injection_phrases.h"

namespace asahi::gateway {
namespace {

using enum InjectionGroup;

// Narrow on purpose: a phrase needs the verb, what it is turned against, and a word that tells the
// caller's instructions from ordinary rules, settings or texts. injection_test.cc holds ordinary
// prompts that were once caught.
constexpr InjectionPhrase kPhrases[] = {
    {kOverride,
     "ignore|disregard|forget|neglect ~3 previous|prior|above|earlier|preceding|foregoing|initial "
     "~2 "
     "instructions|instruction|prompt|prompts|rules|guidelines|directives|directions|commands|"
     "orders|"
     "messages|context|constraints|restrictions|programming|training|text"},
    {kOverride,
     "override|overrule|bypass|discard|dismiss|disobey ~3 "
     "previous|prior|above|earlier|preceding|your|initial ~2 "
     "instructions|instruction|prompt|guidelines|directives|programming|training|safeguards"},
    {kOverride,
     "ignore|disregard|forget|neglect ~1 all|any|every|your ~2 "
     "instructions|instruction|prompt|prompts|guidelines|"
     "directives|programming|training|safeguards"},
    {kOverride,
     "ignore|disregard|forget ~1 your|all ~1 rules|restrictions|constraints|orders "
     "and|now|you|instead|from|because"},
    {kOverride,
     "ignore|disregard|forget ~1 everything|anything|all ~2 "
     "told|taught|instructed|learned|instructions"},
    {kOverride,
     "ignore|disregard|forget ~1 everything|anything|all ~3 above|before|previously|prior|so ~1 "
     "and|now|instead|you|"
     "your|from"},
    {kOverride, "ignore|disregard|forget ~1 above|previous and|instead|now"},
    {kOverride,
     "ignore|disregard|forget ~2 instructions|prompt|directives ~2 "
     "above|before|previously|earlier|given"},
    {kOverride,
     "not|dont|never|stop follow|obey|following|obeying ~3 "
     "previous|prior|above|earlier|original|initial|system ~2 "
     "instructions|rules|prompt|guidelines|directives"},
    {kOverride, "your new|real|actual|true instructions|directives|task|rules|objective is|are"},
    {kOverride,
     "these|following|new instructions|rules|directives ~2 "
     "override|overrides|supersede|supersedes|replace ~3 "
     "previous|prior|all|earlier|above|any|system|other"},
    {kOverride,
     "ignora|ignorar|olvida|olvide|desobedece ~3 instrucciones|indicaciones|instrucoes ~2 "
     "anteriores|previas"},
    {kOverride,
     "ignore|ignorez|oublie|oubliez ~2 instructions|consignes precedentes|anterieures|ci"},
    {kOverride,
     "ignoriere|ignorier|vergiss|missachte ~2 vorherigen|bisherigen|vorigen|obigen|fruheren ~1 "
     "anweisungen|instruktionen|befehle|regeln"},
    {kOverride, "ignora|dimentica ~2 istruzioni precedenti"},

    {kReveal,
     "reveal|show|print|display|output|repeat|disclose|expose|leak|dump|recite|paste|echo|tell|"
     "give|share|reproduce ~4 "
     "your ~2 system|initial|hidden|secret|original|internal|underlying|developer|confidential ~1 "
     "prompt|prompts|instructions|instruction|directives|message"},
    {kReveal,
     "reveal|show|print|display|output|repeat|disclose|expose|leak|dump|recite|echo|reproduce ~2 "
     "the|this ~2 "
     "system|hidden|secret|developer ~1 prompt|prompts|instructions|message"},
    {kReveal,
     "what|whats ~1 is|are|was|were|your ~1 your ~1 system|initial|hidden|secret|original|internal "
     "prompt|instructions"},
    {kReveal, "what|whats ~1 is|are|was|were ~1 the ~1 hidden|secret prompt|instructions"},
    {kReveal, "reveal|disclose|leak|dump|expose|print|repeat|output your ~1 prompt|instructions"},
    {kReveal,
     "repeat|recite|print|output ~2 words|everything|instructions|text above|before ~1 "
     "starting|verbatim|exactly|word|in|this|including|from|you"},

    {kRole, "you are no longer ~2 ai|assistant|bound|chatgpt|claude|restricted|gpt|limited"},
    {kRole,
     "i|i am|im ~2 your developer|creator|administrator|admin ~6 "
     "ignore|override|disable|reveal|bypass|unlock"},

    {kJailbreak, "do anything now"},
    {kJailbreak,
     "act|behave|respond|answer|roleplay|pretend|simulate ~4 "
     "developer|jailbreak|god|unrestricted|dan|sudo|unfiltered "
     "mode"},
    {kJailbreak,
     "you|youre ~1 are|now|enter|in ~2 "
     "developer|jailbreak|god|unrestricted|dan|sudo|debug|unfiltered mode"},
    {kJailbreak,
     "enter|entering|activate|engage|enable ~1 "
     "developer|jailbreak|god|dan|unrestricted|sudo|unfiltered mode ~1 "
     "and|now|where|which|you|to"},
    {kJailbreak, "enter|entering jailbreak|developer|dan|unrestricted|unfiltered mode"},
    {kJailbreak,
     "chatgpt|claude|gpt|assistant|ai|llm|model ~4 developer mode ~1 enabled|activated|on|output"},
    {kJailbreak, "act|behave|respond ~1 as dan"},
    {kJailbreak, "you are now dan|jailbroken|unrestricted|unfiltered|uncensored|free"},
    {kJailbreak,
     "you are ~2 jailbroken|unrestricted|unfiltered|uncensored ~1 ai|assistant|chatbot|model|bot"},
    {kJailbreak, "jailbreak yourself"},
    {kJailbreak,
     "bypass|disable|remove|ignore|deactivate|drop|lift|override|without|no|off ~2 your ~2 "
     "restrictions|filters|filter|safety|guardrails|limitations|censorship|safeguards|moderation"},
    {kJailbreak,
     "pretend|act|roleplay|behave|respond|answer ~6 without|no ~2 "
     "restrictions|filters|limitations|guidelines|"
     "guardrails|censorship|ethics"},
    {kJailbreak,
     "ai|assistant|chatbot|model|llm ~3 with|has|have|without no|any|ethical|moral ~1 "
     "restrictions|filters|limitations|guidelines|guardrails|censorship ~2 "
     "you|and|who|that|answer"},
    {kJailbreak,
     "never|not|cannot|cant refuse ~2 "
     "request|requests|answer|instruction|instructions|command|commands"},

    {kEncoded,
     "decode|decrypt|unscramble|deobfuscate|decipher ~12 execute|follow|obey|perform|comply ~3 "
     "it|them|result|instructions|instruction|output|message|content|what|decoded"},
    {kEncoded,
     "follow|execute|obey|perform|comply ~4 decoded|encoded|base64|rot13|hex|encrypted ~3 "
     "instructions|instruction|message|payload|request|prompt"},
    {kEncoded,
     "base64|rot13|hex|encoded|encrypted ~6 instructions|instruction|prompt ~6 "
     "follow|execute|obey|decode|comply"},

    {kExfiltration,
     "send|post|upload|forward|exfiltrate|transmit|leak|email|submit|append ~3 "
     "this|the|all|your|our|any|every|entire|whole|full ~3 "
     "conversation|chat|history|secrets|secret|credentials|passwords|password|keys|tokens|context|"
     "instructions|prompt|memory ~6 to|at|via|into ~3 "
     "http|https|www|webhook|url|address|server|attacker"},
    {kExfiltration,
     "send|post|upload|forward|exfiltrate|transmit|leak ~2 all|your|entire|every|collected|whole "
     "~3 "
     "data|information|contents|documents|files|messages|output ~4 to|at|via ~2 "
     "http|https|www|webhook|url"},
    {kExfiltration, "exfiltrate the|all|your|this|any|every ~4 to|via|through"},
    {kExfiltration,
     "image|markdown|link|url|pixel ~8 "
     "append|appending|appended|containing|embedding|encode|encoding|including ~4 "
     "conversation|history|secrets|secret|credentials|password|passwords|prompt|instructions ~8 "
     "url|query|parameter|http|https|link"},
};

constexpr InjectionToken kTokens[] = {
    {kRole, "<|im_start|>"},
    {kRole, "<|im_end|>"},
    {kRole, "<|system|>"},
    {kRole, "<|user|>"},
    {kRole, "<|assistant|>"},
    {kRole, "<|endoftext|>"},
    {kRole, "<|eot_id|>"},
    {kRole, "<|end_of_turn|>"},
    {kRole, "<|start_header_id|>"},
    {kRole, "<|end_header_id|>"},
    {kRole, "<|begin_of_text|>"},
    {kRole, "<start_of_turn>"},
    {kRole, "<end_of_turn>"},
    {kRole, "<<sys>>"},
    {kRole, "[/inst]"},
    {kRole, "[inst]"},
    {kOverride, "忽略之前的"},
    {kOverride, "忽略以上"},
    {kOverride, "忽略先前的"},
    {kOverride, "无视之前的"},
    {kOverride, "以前の指示を無視"},
    {kOverride, "これまでの指示を無視"},
    {kOverride, "上記の指示を無視"},
    {kOverride, "이전 지시를 무시"},
};

}  // namespace

std::span<const InjectionPhrase> injection_phrases() { return kPhrases; }
std::span<const InjectionToken> injection_tokens() { return kTokens; }

}  // namespace asahi::gateway
