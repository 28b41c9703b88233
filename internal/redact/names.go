package redact

import "strings"

// keep says what of the values of a member is kept.
type keep uint8

// What may be kept.
const (
	nothing keep = iota // not even the name; objects have members of somebody's own
	free                // the name, of what has members of somebody's own
	items               // the same where it is an object, but arrays have known elements
	shape               // the name, and known members of objects
	numbers             // the same, and numbers
	words               // the same, and ids and names
)

// names are the members that the three protocols have, and what is kept of them. The
// same name means different things in different places, so each keeps what may be
// kept everywhere.
var names = func() map[string]keep {
	known := make(map[string]keep)
	for level, list := range map[keep]string{
		shape: `
			annotations audio caller changes choices citations code code_interpreter_call container content_block
			content_filter_results context_management delta description document embedding encrypted_content error errors
			file file_data file_search_call filename filters function function_call functions image image_url
			input_audio instructions item iterations json_schema logprobs message messages multi_agent
			obfuscation output_config output_format output_text partial_image_b64 partial_json part prediction prompt
			prompt_cache_key queries reasoning reasoning_content reasoning_details redacted_thinking refusal response
			response_format safety_identifier search_result server_tool_use signature source stop
			stop_sequence stop_sequences stream_options suffix summary system text thinking title tool_calls
			tool_use tools top_logprobs url usage user web_search_options`,
		items: `content data input output result results`,
		free: `
			action arguments env headers input_schema logit_bias metadata parameters properties schema
			user_location vars`,
		numbers: `
			accepted_prediction_tokens allow_parallel_tool_calls annotation_index audio_tokens background budget_tokens
			cache_creation cache_creation_input_tokens cache_read_input_tokens cache_write_tokens cached_tokens
			completed_at completion_tokens completion_tokens_details content_index created created_at dimensions
			disable_parallel_tool_use end_index enabled ephemeral_1h_input_tokens ephemeral_5m_input_tokens expires_at
			frequency_penalty include_obfuscation include_usage incomplete_details index input_tokens
			input_tokens_details is_error keep max_completion_tokens max_output_tokens max_tokens max_tool_calls
			max_uses min_p n num_search_queries output_index output_tokens output_tokens_details parallel_tool_calls
			parse_tool_calls presence_penalty prompt_tokens prompt_tokens_details reasoning_tokens
			rejected_prediction_tokens repetition_penalty seed sequence_number start_index status_code store stream
			strict summary_index temperature thinking_tokens top_k top_p total_tokens total_time web_search_requests`,
		words: `
			allowed_tools betas cache_control call_id detail display effort encoding_format file_id finish_reason format
			generate_summary id include inference_geo item_id media_type mime_type modalities mode model name
			native_finish_reason object phase previous_response_id provider reason reasoning_effort request_id
			response_id role service_tier size speed status stop_reason system_fingerprint tier tool_call_id tool_choice
			tool_use_id truncation ttl type verbosity voice`,
	} {
		for name := range strings.FieldsSeq(list) {
			known[name] = level
		}
	}
	return known
}()

// events are the names of events of Messages and, but for those that begin with
// "response.", of Responses.
var events = map[string]bool{
	"message_start": true, "message_delta": true, "message_stop": true, "ping": true, "error": true,
	"content_block_start": true, "content_block_delta": true, "content_block_stop": true,
}

// eventWords are the words that names of Responses events consist of.
var eventWords = func() map[string]bool {
	known := make(map[string]bool)
	for word := range strings.FieldsSeq(`
		added annotation arguments audio call cancelled code compaction completed content created custom delta done
		failed file function generating generation image in incomplete input interpreter interpreting item list mcp
		multi output part partial progress queued reasoning refusal search searching shell summary text tool tools
		transcript web`) {
		known[word] = true
	}
	return known
}()
