package routing

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a provider or model file. Its texts
// never hold a secret, not even one that was written where it must not be.
type Problem struct {
	// File is the file's path: the directory as it was given, joined with
	// the place below it. It may be a directory.
	File string `json:"file"`
	// Line is counted from 1; 0: the problem has none.
	Line int `json:"line,omitempty"`
	// Field is the path of the key, such as "endpoints.base_url" or
	// "model_routings[0].provider". Empty: the problem is the file's.
	Field string `json:"field,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Fix says what to write instead. It may be empty.
	Fix string `json:"fix,omitempty"`
}

// String is the problem on one line: file, line, field, message and fix.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// LoadError is everything that makes a configuration unusable.
type LoadError struct {
	// Problems is never empty. It is in the order of files and lines.
	Problems []Problem
}

// Error is one line for one problem; several come as a list, one line each.
func (e *LoadError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems in the provider and model files:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n\t" + p.String())
	}
	return b.String()
}
