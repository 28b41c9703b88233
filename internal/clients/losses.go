//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
)

// gatewayLog reads what the gateway has written since it was last asked.
type gatewayLog struct {
	name string
	read int // bytes
}

// losses are what the gateway says that it could not translate, each once.
func (l *gatewayLog) losses() ([]string, error) {
	text, err := os.ReadFile(l.name)
	if err != nil {
		return nil, err
	}
	fresh := text[l.read:]
	fresh = fresh[:bytes.LastIndexByte(fresh, '\n')+1] // the rest is being written
	l.read += len(fresh)
	var losses []string
	for line := range bytes.Lines(fresh) {
		var entry struct {
			Losses string `json:"losses"`
		}
		if json.Unmarshal(line, &entry) != nil {
			continue // Caddy's first lines are none
		}
		for loss := range strings.SplitSeq(entry.Losses, ", ") {
			if loss != "" && !slices.Contains(losses, loss) {
				losses = append(losses, loss)
			}
		}
	}
	return losses, nil
}
