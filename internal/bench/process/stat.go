package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = time.Second / 100

// CPU is the time that the process has spent on processors so far, in user and
// in system mode, over all its threads. Its resolution is 10 ms.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	return parseStat(stat)
}

// parseStat adds utime and stime, the 14th and 15th field of proc_pid_stat(5).
// The second field is the command's name in parentheses, which may itself hold
// spaces and parentheses.
func parseStat(stat []byte) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3 // counted from the third field
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) <= stime {
		return 0, errors.New("reading CPU time: stat is too short")
	}
	var sum time.Duration
	for _, i := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// BusyCPU is the time that all processors of the machine have spent on any
// work, or that a hypervisor has taken from them, so far.
func BusyCPU() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading CPU time of the machine: %w", err)
	}
	return parseMachineStat(stat)
}

// parseMachineStat reads the first line of proc_stat(5): user, nice, system,
// idle, iowait, irq, softirq, steal and guest times that user includes.
func parseMachineStat(stat []byte) (time.Duration, error) {
	const idle, iowait, last = 4, 5, 8
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= last || string(fields[0]) != "cpu" {
		return 0, errors.New("reading CPU time of the machine: no cpu line")
	}
	var sum time.Duration
	for i := 1; i <= last; i++ {
		if i == idle || i == iowait {
			continue
		}
		ticks, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time of the machine: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// Memory is what a process keeps in RAM, in KiB.
type Memory struct {
	// Resident size now.
	Resident int64
	// Peak of the resident size since the process started.
	Peak int64
}

// ReadMemory reads the memory of a process.
func ReadMemory(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("reading memory: %w", err)
	}
	return parseStatus(status)
}

// parseStatus finds VmRSS and VmHWM in proc_pid_status(5).
func parseStatus(status []byte) (Memory, error) {
	var m Memory
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		var field *int64
		switch string(name) {
		case "VmRSS":
			field = &m.Resident
		case "VmHWM":
			field = &m.Peak
		default:
			continue
		}
		number, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
		kib, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("reading memory: %w", err)
		}
		*field = kib
	}
	if m.Resident == 0 || m.Peak == 0 {
		return Memory{}, errors.New("reading memory: no VmRSS or VmHWM in status")
	}
	return m, nil
}
