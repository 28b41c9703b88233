package simulated

import "net/http"

// listModels answers GET /models in the shape of the protocol.
func (x *exchange) listModels() {
	names := x.p.config.Models
	dst := []byte(`{"object":"list","data":[`)
	if x.proto == messages {
		dst = []byte(`{"data":[`)
	}
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendModel(dst, x.proto, name)
	}
	dst = append(dst, ']')
	if x.proto == messages {
		dst = append(dst, `,"has_more":false,"first_id":`...)
		dst = quote(dst, names[0])
		dst = append(dst, `,"last_id":`...)
		dst = quote(dst, names[len(names)-1])
	}
	x.w.Header()["Content-Type"] = mediaJSON
	x.write(append(dst, '}'))
}

// showModel answers GET /models/{id}.
func (x *exchange) showModel(name string) {
	if !x.p.knows(name) {
		f := unknownModel(x.proto, name)
		f.status = http.StatusNotFound
		x.fail(f, -1)
		return
	}
	x.w.Header()["Content-Type"] = mediaJSON
	x.write(appendModel(nil, x.proto, name))
}

// appendModel appends one model. They are all as old as each other.
func appendModel(dst []byte, p protocol, name string) []byte {
	if p == messages {
		dst = append(dst, `{"type":"model","id":`...)
		dst = quote(dst, name)
		dst = append(dst, `,"display_name":`...)
		dst = quote(dst, name)
		return append(dst, `,"created_at":"2026-01-01T00:00:00Z","max_input_tokens":200000,"max_tokens":64000}`...)
	}
	dst = append(dst, `{"id":`...)
	dst = quote(dst, name)
	return append(dst, `,"object":"model","created":1767225600,"owned_by":"caddy-llm-proxy"}`...)
}
