package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procStat is /proc/PID/stat behind the name, which may contain anything.
func procStat(pid int) []string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
}

// memory is the resident memory of a process in MiB, and its proportional
// share (shared pages divided by those who share them).
func (b *bench) memory(pid int) (rss, pss float64) {
	rollup := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	return b.kibibytes(rollup, "Rss") / 1024, b.kibibytes(rollup, "Pss") / 1024
}

// kibibytes is the number of a line "name: N kB".
func (b *bench) kibibytes(file, name string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(field(file, name, ":"), " kB"), 64)
	if err != nil {
		b.p.Fatalf("%s: %v", file, err)
	}
	return n
}

// switches is how often the threads of a process have been given a
// processor and left it, that is how often it woke up.
func (b *bench) switches(pid int) (n float64) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		b.p.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, status := range threads {
		for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			v, _ := strconv.ParseFloat(field(status, name, ":"), 64)
			n += v
		}
	}
	return n
}

// cpu is what processes have used so far, in seconds.
func (b *bench) cpu(pids []int) float64 {
	var ticks float64
	for _, pid := range pids {
		fields := procStat(pid)
		if len(fields) < 15 {
			b.p.Fatalf("/proc/%d/stat: %q", pid, fields)
		}
		for _, f := range fields[11:13] { // utime and stime, proc_pid_stat(5)
			n, _ := strconv.ParseFloat(f, 64)
			ticks += n
		}
	}
	return ticks / clockTicks
}

// clockTicks is sysconf(_SC_CLK_TCK), 100 on every Linux that Go runs on.
const clockTicks = 100
