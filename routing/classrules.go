package routing

import (
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// classRule is a row of the table that decides the class of a failure. It fits
// when the status is in at and, where it names any, the error has one of its
// words or phrases.
type classRule struct {
	at spans
	// words are codes and types, in lower case: vendors put the same word now
	// into one, now into the other.
	words []string
	// phrases are parts of the message, in lower case.
	phrases []string
	// answer wants the error to say that max_tokens is too large, which takes
	// more than a phrase to tell; see [translate.Error.AnswerTooLong].
	answer bool
	class  Class
}

// spans are ranges of HTTP statuses, ends included.
type spans [][2]int

func (s spans) contain(status int) bool {
	return slices.ContainsFunc(s, func(span [2]int) bool { return span[0] <= status && status <= span[1] })
}

// fits reports whether an error, in lower case, has what the rule is about.
//
// Vendors that name a parameter quote what the client put there. No client may
// put a key to rest, or its provider, by the words of its request, so phrases
// that blame these do not count then.
func (r *classRule) fits(e *translate.Error) bool {
	switch {
	case r.answer:
		return e.AnswerTooLong()
	case len(r.words) == 0 && len(r.phrases) == 0:
		return true
	case slices.Contains(r.words, e.Code), slices.Contains(r.words, e.Type):
		return true
	}
	quotes := e.Param != "" && (r.class == KeyDead || r.class == RateLimited || r.class == Broken)
	return !quotes && slices.ContainsFunc(r.phrases, func(phrase string) bool { return strings.Contains(e.Message, phrase) })
}

// classRules decide the class of an error answer: the first that fits, and
// [Broken] where none does. README.md of this package shows them.
//
// What the body says goes before the status, since vendors differ in statuses,
// and codes go before phrases. Sources: the error references of the vendors
// named, and recorded errors.
var classRules = []classRule{
	// A redirect is never followed: it would carry the key elsewhere.
	{at: spans{{0, 199}, {300, 399}}, class: Broken},

	// Most say so in the words of a conversation that is too long, but another
	// model's window or a shorter conversation is not what helps.
	{at: spans{{400, 499}}, answer: true, class: InvalidRequest},

	// The window. Servers that run models themselves answer with a 500 when it
	// overflows while they write.
	{at: spans{{200, 599}}, words: []string{
		"context_length_exceeded", "context_window_exceeded",
		"exceed_context_size_error", // llama.cpp
		"tokens_too_long",           // Baidu
		"1261",                      // Zhipu
	}, class: ContextTooLong},

	// Refused content. xAI and OpenRouter refuse it with a 403, which must not
	// put a key to rest.
	{at: spans{{200, 428}}, words: []string{
		"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "invalid_prompt", "moderation_blocked",
		"data_inspection_failed", "datainspectionfailed", // DashScope
		"1301", // Zhipu
	}, phrases: []string{
		"blocked by content filtering policy",          // Anthropic
		"requires moderation",                          // OpenRouter
		"violates usage guidelines",                    // xAI
		"content exists risk",                          // DeepSeek
		"input data may contain inappropriate content", // DashScope
	}, class: ContentPolicy},

	// OpenRouter passes on what the provider behind it said. A key or an
	// account that this one refuses is OpenRouter's.
	{at: spans{{401, 403}}, phrases: []string{openRouterPassesOn}, class: Broken},
	{at: spans{{429, 429}}, phrases: []string{openRouterPassesOn}, class: RateLimited},

	// Gemini says in the words for an empty account that the requests of a
	// minute or of a day are used up, which time mends.
	{at: spans{{429, 429}}, words: []string{"resource_exhausted"}, class: RateLimited},

	// Money: waiting does not bring it back, so it is no limit even with a 429.
	{at: spans{{200, 599}}, words: []string{
		"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error",
		"exceeded_current_quota_error", // Moonshot
		"blocked_api_access",           // Groq
		"arrearage",                    // DashScope
		"1113",                         // Zhipu
	}, phrases: []string{
		"exceeded your current quota",             // vendors that copied OpenAI's words only
		"credit balance is too low",               // Anthropic
		"reached your specified api usage limits", // Anthropic
		"used all available credits",              // xAI
		"reaching the monthly spending limit",     // Fireworks
	}, class: KeyDead},

	// A queue that is full is so for every key.
	{at: spans{{429, 429}}, words: []string{
		"overloaded_error",
		"queue_exceeded",          // Cerebras
		"engine_overloaded_error", // Moonshot
	}, class: Broken},
	{at: spans{{429, 429}}, class: RateLimited},
	{at: spans{{401, 402}}, class: KeyDead},

	// Models. A key that may not use one of them may use others.
	{at: spans{{200, 499}}, words: []string{
		"model_not_found", "model_not_available", "not_found_error",
		"deploymentnotfound", "unknown_model", "unavailable_model", // Azure
		"model_not_supported",                                                          // Hugging Face
		"model_decommissioned", "model_terms_required", "model_permission_blocked_org", // Groq
		"invalid_model", // Mistral
		"1211", "1311",  // Zhipu
	}, phrases: []string{
		"have access to the model", "model identifier is invalid", "on-demand throughput isn", // Bedrock
		"organization must be verified", // OpenAI
		"no such model",                 // Cloudflare
	}, class: ModelUnknown},

	// The window again, by those who have no code for it.
	{at: spans{{200, 599}}, phrases: []string{
		"maximum context length",                     // OpenAI, DeepSeek, OpenRouter, vLLM, Mistral
		"exceeds the context window",                 // OpenAI
		"prompt is too long", "exceed context limit", // Anthropic
		"exceeds the maximum number of tokens",                                          // Gemini
		"but model only supports up to",                                                 // Vertex
		"maximum prompt length",                                                         // xAI
		"input is too long",                                                             // Bedrock
		"reduce the length of the messages",                                             // Groq, Cerebras
		"too many tokens: total", "too many tokens: the total", "too many tokens: size", // Cohere
		"range of input length should be",                           // DashScope
		"exceeded model token limit", "input token length too long", // Moonshot
		"longer than the maximum model length",                                 // vLLM
		"longer than the model's context length",                               // SGLang
		"exceeds the available context size", "context size has been exceeded", // llama.cpp
		"greater than the context length",   // LM Studio
		"tokens + `max_new_tokens` must be", // Hugging Face, Together
	}, class: ContextTooLong},

	// What stands before an API, such as a firewall or a proxy, knows nothing
	// of the key and of the request.
	{at: spans{{400, 400}, {403, 403}}, phrases: []string{webPage}, class: Broken},
	{at: spans{{403, 403}}, class: KeyDead},

	// 424: a model of Azure or Bedrock failed. 498: Groq's flexible tier is
	// full. 499: a proxy lost its upstream.
	{at: spans{{408, 409}, {424, 425}, {498, 599}}, class: Broken},

	// Keys, where the status is another.
	{at: spans{{200, 499}}, words: []string{
		"invalid_api_key", "authentication_error", "permission_error",
		"wrong_api_key",           // Cerebras
		"invalidapikey",           // DashScope
		"organization_restricted", // Groq
	}, phrases: []string{
		"incorrect api key", // OpenAI, xAI
		"invalid api key",
		"api key not valid", "api key expired", "user location is not supported", // Gemini
		"organization has been disabled", // Anthropic
	}, class: KeyDead},

	// Limits, where the status is another: Groq's 413, Bedrock's 400.
	{at: spans{{200, 499}}, words: []string{
		"rate_limit_exceeded", "rate_limit_error", "throttlingexception", "servicequotaexceededexception",
	}, class: RateLimited},

	{at: spans{{404, 405}, {410, 410}}, class: ModelUnknown},

	// Groq: the model wrote what its server could not parse. The request was
	// fine, so another try or route may answer.
	{at: spans{{400, 499}}, words: []string{"tool_use_failed", "json_validate_failed"}, class: Broken},

	{at: spans{{400, 499}}, class: InvalidRequest},
}

const (
	openRouterPassesOn = "provider returned error"
	// webPage is how package translate describes an HTML page.
	webPage = "the upstream sent a web page"
)
