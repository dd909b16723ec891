package parent

import (
	"os"
	"runtime"
)

// maxProcs is the most threads that run Go code at once. One thread moves more
// than 10 Gbit/s; the rest of the machine is for those who use the network.
const maxProcs = 4

// limitProcs sets how many threads run the data plane: half of the machine's.
//
// Each packet is handed from goroutine to goroutine. With a thread to spare the
// runtime wakes it for each of these hops, which costs more than the work that
// it then takes over, and takes the core from the client that waits. Measured
// on two cores, two threads against one: 1-byte request/response 143 and 109 µs,
// connect, byte and close 524 and 355 µs, bulk to the guest 11 and 15 Gbit/s.
//
// The environment's GOMAXPROCS, where set, is left alone.
func limitProcs() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	runtime.GOMAXPROCS(max(1, min(maxProcs, runtime.NumCPU()/2)))
}
