package simulated

import "slices"

// A gateway that translates can leave words of one protocol in a request of
// another. Each service refuses those. Words that no protocol has are let
// through: the services have new ones every month.

// spoken is a set of protocols.
type spoken uint8

const (
	inChat      spoken = 1 << chat
	inResponses spoken = 1 << responses
	inMessages  spoken = 1 << messages
)

func (s spoken) foreignTo(p protocol) bool { return s != 0 && s&(1<<p) == 0 }

// membersOf says which protocols have a member at the top level of a request.
var membersOf = map[string]spoken{
	"messages":              inChat | inMessages,
	"max_tokens":            inChat | inMessages,
	"parallel_tool_calls":   inChat | inResponses,
	"store":                 inChat | inResponses,
	"stream_options":        inChat | inResponses,
	"max_completion_tokens": inChat,
	"response_format":       inChat,
	"reasoning_effort":      inChat,
	"n":                     inChat,
	"seed":                  inChat,
	"stop":                  inChat,
	"logit_bias":            inChat,
	"presence_penalty":      inChat,
	"frequency_penalty":     inChat,
	"functions":             inChat,
	"function_call":         inChat,
	"input":                 inResponses,
	"instructions":          inResponses,
	"max_output_tokens":     inResponses,
	"text":                  inResponses,
	"include":               inResponses,
	"truncation":            inResponses,
	"previous_response_id":  inResponses,
	"system":                inMessages,
	"stop_sequences":        inMessages,
	"output_config":         inMessages,
	"output_format":         inMessages,
}

// typesOf says which protocols have an item, a block or a part of content of
// some type.
var typesOf = map[string]spoken{
	"text":                    inChat | inMessages,
	"refusal":                 inChat | inResponses,
	"input_audio":             inChat | inResponses,
	"image_url":               inChat,
	"file":                    inChat,
	"message":                 inResponses,
	"reasoning":               inResponses,
	"function_call":           inResponses,
	"function_call_output":    inResponses,
	"custom_tool_call":        inResponses,
	"custom_tool_call_output": inResponses,
	"input_text":              inResponses,
	"input_image":             inResponses,
	"input_file":              inResponses,
	"output_text":             inResponses,
	"image":                   inMessages,
	"document":                inMessages,
	"tool_use":                inMessages,
	"tool_result":             inMessages,
	"thinking":                inMessages,
	"redacted_thinking":       inMessages,
}

// foreignMember is the refusal of a member of another protocol.
func foreignMember(p protocol, name string) *failure {
	switch p {
	case chat:
		return invalid("unknown_parameter", name, "Unrecognized request argument supplied: "+name)
	case responses:
		return invalid("unknown_parameter", name, "Unknown parameter: '"+name+"'.")
	}
	return invalid("", "", name+": Extra inputs are not permitted")
}

// checkType refuses a type of another protocol at a place of the request.
func checkType(p protocol, typ, at string) *failure {
	switch {
	case !typesOf[typ].foreignTo(p):
		return nil
	case p == messages:
		return invalid("", "", at+": Input tag '"+typ+"' found using 'type' does not match any of the expected tags")
	}
	return invalid("invalid_value", at, "Invalid value: '"+typ+"'.")
}

// calls are the ids of tool calls of which the results have not come, in order.
type calls []string

// take removes a call that has its result now, and reports whether it was there.
func (c *calls) take(id string) bool {
	i := slices.Index(*c, id)
	if i >= 0 {
		*c = slices.Delete(*c, i, i+1)
	}
	return i >= 0
}

// legalID reports whether an id has at most limit characters, all of those that
// every service takes.
func legalID(id string, limit int) bool {
	for _, c := range []byte(id) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= limit
}
