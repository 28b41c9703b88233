//go:build !linux

package caddymodule

import "testing"

func smallDisk(t *testing.T) string {
	t.Helper()
	t.Skip("small disks are mounted on Linux only")
	return ""
}
