package caddymodule

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// collector is where Caddy's tracing directive sends its spans: an OTLP receiver.
type collector struct {
	mu    sync.Mutex
	spans []otlpSpan
}

// otlpSpan is a span as it came over the wire.
type otlpSpan struct {
	trace, id, parent, name string
	kind                    uint64 // 1: internal, 2: server, 3: client
	start, end              uint64 // nanoseconds since 1970
	failed                  bool
	message                 string // of the status
	attributes              map[string]string
}

// collect runs a receiver and lets the exporters of Caddy find it.
func collect(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // milliseconds
	// The exporter is the process's, as long as any configuration has one: that of a
	// test before this one has to go.
	loadNothing(t)
	return c
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range fields(data)[1] {
		for _, scope := range fields(resource.bytes)[2] {
			for _, span := range fields(scope.bytes)[2] {
				c.spans = append(c.spans, newOTLPSpan(span.bytes))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// below finds the last request's span of that name, and those below it.
func (c *collector) below(name string) (request *otlpSpan, calls []otlpSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.spans {
		if c.spans[i].name == name {
			request = &c.spans[i]
		}
	}
	if request == nil {
		return nil, nil
	}
	for _, s := range c.spans {
		if s.parent == request.id {
			calls = append(calls, s)
		}
	}
	return request, calls
}

// span finds the span of an id.
func (c *collector) span(id string) *otlpSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.spans {
		if c.spans[i].id == id {
			return &c.spans[i]
		}
	}
	return nil
}

// newOTLPSpan reads opentelemetry.proto.trace.v1.Span.
func newOTLPSpan(data []byte) otlpSpan {
	f := fields(data)
	s := otlpSpan{
		trace: hex.EncodeToString(f.bytes(1)), id: hex.EncodeToString(f.bytes(2)), parent: hex.EncodeToString(f.bytes(4)),
		name: string(f.bytes(5)), kind: f.number(6), start: f.number(7), end: f.number(8),
		attributes: make(map[string]string),
	}
	for _, attribute := range f[9] {
		pair := fields(attribute.bytes)
		s.attributes[string(pair.bytes(1))] = anyValue(pair.bytes(2))
	}
	status := fields(f.bytes(15))
	s.message, s.failed = string(status.bytes(2)), status.number(3) == 2
	return s
}

// anyValue reads opentelemetry.proto.common.v1.AnyValue as a text.
func anyValue(data []byte) string {
	f := fields(data)
	switch {
	case f[1] != nil:
		return string(f.bytes(1))
	case f[2] != nil:
		return fmt.Sprint(f.number(2) == 1)
	case f[3] != nil:
		return fmt.Sprint(f.number(3))
	case f[4] != nil:
		return fmt.Sprint(math.Float64frombits(f.number(4)))
	}
	list := ""
	for _, value := range fields(f.bytes(5))[1] {
		list += "[" + anyValue(value.bytes) + "]"
	}
	return list
}

// message is a message of Protocol Buffers, by the numbers of its fields.
type message map[int][]struct {
	bytes  []byte
	number uint64
}

func (m message) bytes(field int) []byte {
	if len(m[field]) == 0 {
		return nil
	}
	return m[field][0].bytes
}

func (m message) number(field int) uint64 {
	if len(m[field]) == 0 {
		return 0
	}
	return m[field][0].number
}

// fields reads a message (https://protobuf.dev/programming-guides/encoding/). What is
// no message panics, which the test's server shows.
func fields(data []byte) message {
	m := make(message)
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		data = data[n:]
		var value struct {
			bytes  []byte
			number uint64
		}
		switch tag & 7 {
		case 0:
			value.number, n = binary.Uvarint(data)
		case 1:
			value.number, n = binary.LittleEndian.Uint64(data), 8
		case 2:
			length, start := binary.Uvarint(data)
			n = start + int(length)
			value.bytes = data[start:n]
		case 5:
			value.number, n = uint64(binary.LittleEndian.Uint32(data)), 4
		}
		data = data[n:]
		m[int(tag>>3)] = append(m[int(tag>>3)], value)
	}
	return m
}
