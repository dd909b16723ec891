package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// report is the part of iperf3's that we need.
type report struct {
	Error string `json:"error"`
	Start struct {
		Connected []struct{} `json:"connected"`
	} `json:"start"`
	End struct {
		Sum struct { // of UDP
			Seconds float64 `json:"seconds"`
			Packets float64 `json:"packets"`
			Lost    float64 `json:"lost_packets"`
		} `json:"sum"`
		Received struct {
			Bytes         float64 `json:"bytes"`
			BitsPerSecond float64 `json:"bits_per_second"`
		} `json:"sum_received"`
	} `json:"end"`
}

// errTurnedAway is a server's that serves somebody else.
var errTurnedAway = errors.New("the server turned the client away")

// readReport reads what a client printed. A run that met an error, or in
// which nothing arrived, is none.
func readReport(out []byte) (*report, error) {
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("no report: %w\n%s", err, out)
	}
	nothing := r.End.Received.BitsPerSecond <= 0 && r.End.Sum.Packets <= r.End.Sum.Lost
	switch {
	case strings.Contains(r.Error, "busy"), r.Error == "" && nothing && len(r.Start.Connected) == 0:
		return nil, errTurnedAway
	case r.Error != "":
		return nil, errors.New(r.Error)
	case nothing:
		return nil, fmt.Errorf("nothing arrived\n%s", out)
	}
	return &r, nil
}

// gigabits is what the receiver saw, in Gbit/s.
func (r *report) gigabits() float64 { return r.End.Received.BitsPerSecond / 1e9 }

// gigabytes is what was carried, with the seconds that do not count.
func (r *report) gigabytes(b *bench) float64 {
	return r.End.Received.BitsPerSecond / 8e9 * float64(b.o.seconds+b.warmUp())
}

// delivered is the datagrams that arrived, each second.
func (r *report) delivered() float64 {
	return (r.End.Sum.Packets - r.End.Sum.Lost) / r.End.Sum.Seconds
}
