package process

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// fields are those of a stat file from the third on; 14 and 15 are 250 and 75.
const fields = " S 1 42 42 0 -1 4194560 900 0 7 0 250 75 11 12 20 0 9 0 1000 1900000 12000 18446744073709551615 1 1 0 0 0\n"

func TestCPUTimeIsReadWhateverTheCommandIsCalled(t *testing.T) {
	for _, tc := range []struct {
		stat string
		want time.Duration // 0: an error
	}{
		{"42 (caddy)" + fields, 3250 * time.Millisecond},
		{"42 (a b)" + fields, 3250 * time.Millisecond},
		{"42 (a) S 9 9 (b)" + fields, 3250 * time.Millisecond},
		{"42 ())" + fields, 3250 * time.Millisecond},
		{"", 0},
		{"42 (caddy) S 1 42", 0},
		{"42 caddy" + fields, 0},
		{"42 (caddy) S 1 42 42 0 -1 4194560 900 0 7 0 x 75 11", 0},
	} {
		got, err := parseStat([]byte(tc.stat))
		if got != tc.want || (err == nil) != (tc.want > 0) {
			t.Errorf("parseStat(%q) = %v, %v, want %v", tc.stat, got, err, tc.want)
		}
	}
}

func TestTheMachinesBusyTimeLeavesOutWaiting(t *testing.T) {
	for _, tc := range []struct {
		stat string
		want time.Duration // 0: an error
	}{
		// user, nice, system, irq, softirq and steal, not idle, iowait or guests
		{"cpu  100 10 20 9000 800 3 4 5 70 6\ncpu0 1 1 1 1\n", 1420 * time.Millisecond},
		{"cpu  1 1 1 1 1 1 1 1\n", 60 * time.Millisecond},
		{"", 0},
		{"cpu0 100 10 20 9000 800 3 4 5 70 6\n", 0},
		{"cpu  1 1 1 1\n", 0},
		{"cpu  1 1 x 1 1 1 1 1 1\n", 0},
	} {
		got, err := parseMachineStat([]byte(tc.stat))
		if got != tc.want || (err == nil) != (tc.want > 0) {
			t.Errorf("parseMachineStat(%q) = %v, %v, want %v", tc.stat, got, err, tc.want)
		}
	}
}

func TestMemoryIsReadInKiB(t *testing.T) {
	for _, tc := range []struct {
		status string
		want   Memory // zero: an error
	}{
		{"Name:\tVmRSS\nVmPeak:\t 9999 kB\nVmHWM:\t   61000 kB\nVmRSS:\t   52000 kB\n", Memory{Resident: 52000, Peak: 61000}},
		{"Name:\tcaddy\nState:\tZ (zombie)\n", Memory{}},
		{"VmHWM:\t lots kB\nVmRSS:\t 1 kB\n", Memory{}},
	} {
		got, err := parseStatus([]byte(tc.status))
		if got != tc.want || (err == nil) != (tc.want != Memory{}) {
			t.Errorf("parseStatus(%q) = %+v, %v, want %+v", tc.status, got, err, tc.want)
		}
	}
}

func TestThisProcessCanBeMeasured(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc here")
	}
	memory, err := ReadMemory(os.Getpid())
	if err != nil || memory.Resident < 100 || memory.Peak < memory.Resident {
		t.Errorf("ReadMemory(self) = %+v, %v", memory, err)
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	busyBefore, err := BusyCPU()
	if err != nil {
		t.Fatal(err)
	}
	// Work until it shows: a busy machine may give this process little time.
	after, busyAfter := before, busyBefore
	for end := time.Now().Add(10 * time.Second); (after == before || busyAfter == busyBefore) && time.Now().Before(end); {
		if after, err = CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
		if busyAfter, err = BusyCPU(); err != nil {
			t.Fatal(err)
		}
	}
	if after <= before || busyAfter <= busyBefore {
		t.Errorf("after work CPU(self) = %v and BusyCPU() = %v, before %v and %v", after, busyAfter, before, busyBefore)
	}
	if _, err := CPU(-1); err == nil {
		t.Error("CPU(-1) has no error")
	}
}
