package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
)

// table writes rows whose cells are separated by tabs.
func table(w io.Writer, rows []string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, r)
	}
	return t.Flush()
}

func showNothing(io.Writer, json.RawMessage) error { return nil }

// showAdded prints the ID, and the port where that was left open.
func showAdded(w io.Writer, reply json.RawMessage) error {
	var r struct {
		ID       int `json:"id"`
		HostPort int `json:"host_port"`
	}
	if err := json.Unmarshal(reply, &r); err != nil {
		return err
	}
	line := fmt.Sprint(r.ID)
	if r.HostPort != 0 {
		line += fmt.Sprintf(" port %d", r.HostPort)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func showForwards(w io.Writer, reply json.RawMessage) error {
	var r struct{ Entries []api.Forward }
	if err := json.Unmarshal(reply, &r); err != nil {
		return err
	}
	rows := []string{"ID\tPROTO\tHOST\tGUEST"}
	for _, f := range r.Entries {
		host, guest := netip.AddrPortFrom(f.HostAddr, f.HostPort).String(), netip.AddrPortFrom(f.GuestAddr, f.GuestPort).String()
		if f.HostPortEnd != 0 {
			host += fmt.Sprintf("-%d", f.HostPortEnd)
			guest += fmt.Sprintf("-%d", int(f.GuestPort)+int(f.HostPortEnd-f.HostPort))
		}
		rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s", f.ID, f.Proto, host, guest))
	}
	return table(w, rows)
}

func showFlows(w io.Writer, reply json.RawMessage) error {
	var r struct{ Flows []api.Flow }
	if err := json.Unmarshal(reply, &r); err != nil {
		return err
	}
	slices.SortFunc(r.Flows, func(a, b api.Flow) int {
		return strings.Compare(a.Proto+a.Origin+a.Guest+a.Peer, b.Proto+b.Origin+b.Guest+b.Peer)
	})
	rows := []string{"PROTO\tFROM\tGUEST\tPEER\tLOCAL\tREMOTE\tSTATE\tAGE\tSENT\tRECEIVED\tINODE"}
	for _, f := range r.Flows {
		age := time.Duration(f.Age * float64(time.Second)).Round(time.Second)
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d", f.Proto, f.Origin,
			orDash(f.Guest), orDash(f.Peer), orDash(f.Local), orDash(f.Remote), f.State, age, f.GuestBytes, f.HostBytes, f.Inode))
	}
	return table(w, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func showStats(w io.Writer, reply json.RawMessage) error {
	var s api.Stats
	if err := json.Unmarshal(reply, &s); err != nil {
		return err
	}
	rows := []string{"PROTO\tSENT\tBYTES\tRECEIVED\tBYTES\tOPEN\tTOTAL"}
	line := func(name string, t api.Traffic, f string) {
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%s", name, t.GuestPackets, t.GuestBytes, t.HostPackets, t.HostBytes, f))
	}
	flows := func(f api.Flows) string { return fmt.Sprintf("%d\t%d", f.Open, f.Total) }
	line("tcp", s.TCP.Traffic, flows(s.TCP.Flows))
	line("udp", s.UDP.Traffic, flows(s.UDP.Flows))
	line("icmp", s.ICMP.Traffic, flows(s.ICMP.Flows))
	line("other", s.Other, "-\t-")
	if err := table(w, rows); err != nil {
		return err
	}
	rows = []string{
		"",
		fmt.Sprintf("uptime\t%s", time.Duration(s.Uptime*float64(time.Second)).Round(time.Second)),
		fmt.Sprintf("forwards\t%d", s.Hostfwd.Forwards),
		fmt.Sprintf("forwarded tcp\t%d open, %d total, %d not accepted by the guest", s.Hostfwd.TCP.Open, s.Hostfwd.TCP.Total, s.Hostfwd.Refused),
		fmt.Sprintf("forwarded udp\t%d open, %d total", s.Hostfwd.UDP.Open, s.Hostfwd.UDP.Total),
		fmt.Sprintf("dns\t%d queries, %d answers, %d sockets", s.DNS.Queries, s.DNS.Answers, s.DNS.Open),
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Drops)) {
		rows = append(rows, fmt.Sprintf("dropped, %s\t%d", strings.ReplaceAll(reason, "_", " "), s.Drops[reason]))
	}
	if sw := s.Switch; sw != nil {
		rows = append(rows,
			fmt.Sprintf("switch\t%d peers, %d refused", sw.Peers, sw.Refused),
			fmt.Sprintf("switch dropped\t%d spoofed, %d malformed, %d for peers that did not read", sw.Spoofed, sw.Malformed, sw.QueueFull))
	}
	rows = append(rows, fmt.Sprintf("memory\t%d KiB, %d KiB of it heap", s.Memory.Total>>10, s.Memory.Heap>>10))
	return table(w, rows)
}

func showInfo(w io.Writer, reply json.RawMessage) error {
	var i api.Info
	if err := json.Unmarshal(reply, &i); err != nil {
		return err
	}
	return table(w, []string{
		"version\t" + i.Version,
		fmt.Sprintf("pid\t%d", i.PID),
		"interface\t" + i.Interface,
		fmt.Sprintf("mtu\t%d", i.MTU),
		"network\t" + i.Network,
		"gateway\t" + i.Gateway,
		"nameserver\t" + i.Nameserver,
		"guest\t" + i.Guest,
		fmt.Sprintf("ipv6\t%v", i.IPv6),
		"offloads\t" + orDash(strings.Join(i.Offloads, " ")),
		"features\t" + strings.Join(i.Features, " "),
	})
}
