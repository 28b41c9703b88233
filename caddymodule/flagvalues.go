package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The values of flags that not every text or number can be. What cannot be one is
// refused when the command line is read: as a command that is not understood, and
// before anything is asked or done.

// wordFlag is a flag for one of a few words, in any case.
type wordFlag[Word ~string] struct {
	to    *Word
	words []Word
}

// aWord is a flag that takes one of these words, by default what to holds.
func aWord[Word ~string](to *Word, words ...Word) *wordFlag[Word] { return &wordFlag[Word]{to, words} }

// Set takes the flag's value.
func (f *wordFlag[Word]) Set(text string) error {
	word := Word(strings.ToLower(text))
	if !slices.Contains(f.words, word) {
		var all []string
		for _, known := range f.words {
			all = append(all, string(known))
		}
		return fmt.Errorf("it takes %s", strings.Join(all, ", "))
	}
	*f.to = word
	return nil
}

// String is the flag's value.
func (f *wordFlag[Word]) String() string { return string(*f.to) }

// Type is what help calls the value.
func (f *wordFlag[Word]) Type() string { return "string" }

// numberFlag is a flag for a number within bounds.
type numberFlag struct {
	to          *int
	least, most int
}

// aNumber is a flag that takes a number from least to most, by default what to holds.
func aNumber(to *int, least, most int) *numberFlag { return &numberFlag{to, least, most} }

// Set takes the flag's value.
func (f *numberFlag) Set(text string) (err error) {
	*f.to, err = numberIn(text, f.least, f.most)
	return err
}

// String is the flag's value.
func (f *numberFlag) String() string { return strconv.Itoa(*f.to) }

// Type is what help calls the value.
func (f *numberFlag) Type() string { return "int" }

// numberIn reads a number from least to most.
func numberIn(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is no number from %d to %d", text, least, most)
	}
	return n, nil
}

// textFlag is a flag for a text that check takes.
type textFlag struct {
	to    *string
	check func(string) error
}

// Set takes the flag's value.
func (f *textFlag) Set(text string) error {
	if err := f.check(text); err != nil {
		return err
	}
	*f.to = text
	return nil
}

// String is the flag's value.
func (f *textFlag) String() string { return *f.to }

// Type is what help calls the value.
func (f *textFlag) Type() string { return "string" }

// protocolFlag is a flag for what a client speaks.
type protocolFlag struct{ *wordFlag[translate.Protocol] }

// aProtocol is a flag that takes a protocol of clients, by default what to holds.
func aProtocol(to *translate.Protocol) protocolFlag {
	return protocolFlag{aWord(to, clientProtocols...)}
}

// Set takes the flag's value: one of the words of the configuration files, or the
// protocol's own name.
func (f protocolFlag) Set(text string) error {
	switch strings.ToLower(text) {
	case "chat":
		text = string(translate.Chat)
	case "messages":
		text = string(translate.Messages)
	}
	return f.wordFlag.Set(text)
}

// aTime is a flag that takes a time as momentIn reads it.
func aTime(to *string) *textFlag {
	return &textFlag{to, func(text string) error {
		_, err := momentIn(text, time.Now())
		return err
	}}
}

// momentIn reads a time: RFC 3339, or a duration before now.
func momentIn(text string, now time.Time) (time.Time, error) {
	if moment, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return moment, nil
	}
	ago, err := caddy.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time such as 2026-01-31T12:00:00Z nor how long ago, such as 24h or 7d", text)
	}
	return now.Add(-ago), nil
}

// aURL is a flag that takes where a gateway serves.
func aURL(to *string) *textFlag {
	return &textFlag{to, func(text string) error {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("it takes a URL such as " + new(variables).gatewayURL())
		}
		return nil
	}}
}

// anAddress is a flag that takes an address of Caddy's administration endpoint.
func anAddress(to *string) *textFlag {
	return &textFlag{to, func(text string) error {
		if address, err := caddy.ParseNetworkAddress(text); text != "" && (err != nil || address.PortRangeSize() > 1) {
			return errors.New("it takes an address such as " + caddy.DefaultAdminListen)
		}
		return nil
	}}
}
