// Package messages reads and writes Anthropic's Messages API: requests, answers
// and event streams, to and from the form that translate has for all protocols.
//
// [DecodeRequest] leaves these members to the other protocols' encoders, as
// Fields: service_tier, metadata.user_id, context_management, fallbacks,
// diagnostics, output_config.task_budget, speed, and whatever it does not know.
package messages
