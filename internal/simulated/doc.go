// Package simulated is a language model provider that needs no key and no
// network: an http.Handler that speaks Chat Completions, Responses and Messages
// exactly as the real services do on the wire, and misbehaves on demand. The
// shipped example answers with it, failover is drilled with it, tests and
// benchmarks use it as their upstream.
//
// # Endpoints
//
// Any prefix may stand before them:
//
//	POST /chat/completions   POST /responses   POST /messages   POST /messages/count_tokens
//	POST /embeddings         GET /models       GET /models/{id}
//
// # Asking for a behaviour
//
// A model called "demo-" followed by words asks for what the words say; words
// are joined by "+": demo-tools+slow-500. The same words may stand in a line of
// the newest user text, separated by spaces:
//
//	demo: tools slow-500
//	demo: call get_weather {"city":"Oslo"}
//
// An unknown word in a model name is the provider's "model not found"; in a
// line of text the answer says which word it was. Models of any other name
// answer like plain "demo". Numbers are optional, with the defaults given here:
//
//	tools            call the first declared tool, with arguments made from its schema; after a tool result, answer with a text that quotes it
//	parallel         with tools: two calls at once
//	text             with tools: a sentence before the calls
//	call NAME [JSON] (only in a line of text, and last in it) call that tool, with these arguments
//	thinking         reasoning before the answer
//	hidden           the same, but nobody can read it: only its seal is there
//	cache-50-25      that percentage of the input came from the prompt cache, and that was written to it
//	json             a JSON object even if no format was asked for (an asked for schema is always honoured)
//	slow-2000-100    milliseconds before the first event (the headers come at once) and between events; one number sets both
//	long-2000        the numbers from 1 to 2000, one per event
//	bench-100-0      that many constant words, that many milliseconds between events; the request is hardly looked at
//
//	400 … 599        that status, with the body and headers of the real services; a number sets Retry-After in seconds: 429-7 (429 alone: 1)
//	quota            429 insufficient_quota (Messages: 402 billing_error)
//	context          400, the prompt is too long
//	policy           400, the prompt breaks the usage policy
//	flaky-1          500 that many times, then one good answer, and so on (counted over the life of the Provider)
//	hang             nothing, not even headers, until the client leaves
//	html, empty      200 with an HTML page, 200 with no body at all
//
//	silent-5000      headers and opening events, then a keep-alive each so many milliseconds (0: none) until the client leaves
//	cut, cut-early   the connection breaks amid the content, or between the opening events and the content
//	eof              a clean end amid the content
//	badjson          amid the content, half an event and then a clean end
//	error-event      an error event between the opening events and the content
//	error-first      an error event before anything else
//	error-late       an error event amid the content
//
// A status word beside an error event chooses what the event says:
// demo-error-late+429. Where the answer is not streamed, the words of the last
// group do the same to its body, and the error events become a 200 with an
// error in it, as some gateways send.
//
// # What is refused
//
// As the real services do, a Provider refuses requests in which a tool call has
// no result, or a result no call; reasoning whose seal it did not make (in
// Messages also where its text was changed); ids that the service does not
// take; and names of members and types that belong to another protocol. Names
// that no protocol has are let through. Of requests for "bench" words nothing
// is checked.
//
// # Estimates
//
// Usage is an estimate that depends on nothing but the request: four bytes are a
// token, an image or a document is a thousand. count_tokens and the usage of
// the answer always agree. Output limits and stop sequences are honoured. What
// the prompt cache did is made up, and only where it was asked for ("cache").
package simulated
