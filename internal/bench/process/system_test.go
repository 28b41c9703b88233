package process

import "testing"

func TestTheFileLimitIsRaisedOrExplained(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	if err := RaiseFileLimit(64); err != nil {
		t.Errorf("RaiseFileLimit(64) = %v", err)
	}
	if err := RaiseFileLimit(1 << 62); err == nil {
		t.Error("RaiseFileLimit(2^62) = nil, want an error")
	}
}
