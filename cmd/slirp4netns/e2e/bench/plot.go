package main

import (
	"fmt"
	"html"
	"strings"
)

// Lengths of the plot, in pixels.
const (
	plotWidth  = 860
	plotMargin = 16
	labelWidth = 330
	barHeight  = 14
	rowHeight  = 62
	headHeight = 44
	valueWidth = 150 // right of the longest bar
)

// plotted are the subjects with a bar, and plotColours theirs, readable on
// white and on black.
var (
	plotted     = []*subject{ours, theirs, pasta}
	plotColours = []string{"#1f77b4", "#b0863c", "#7a7a7a"}
)

// plot is an SVG of the headlines, with a bar for each subject. Rows with the same unit share a
// scale, which starts at zero.
func (r *result) plot() string {
	top := make(map[string]float64) // unit → longest bar
	rows := r.headlines()
	for _, e := range rows {
		for _, s := range plotted {
			top[e.Unit] = max(top[e.Unit], e.of(s).Max)
		}
	}
	var b strings.Builder
	height := headHeight + rowHeight*len(rows) + plotMargin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, height)
	x := labelWidth
	for i, s := range plotted {
		fmt.Fprintf(&b, `<rect x="%d" y="14" width="14" height="14" fill="%s"/><text x="%d" y="26">%s</text>`+"\n", x, plotColours[i], x+20, s.title)
		x += 120
	}
	fmt.Fprintf(&b, `<text x="%d" y="26" fill="#666666">line: lowest to highest</text>`+"\n", x)
	for i, e := range rows {
		drawRow(&b, e, headHeight+rowHeight*i, top[e.Unit])
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// drawRow draws the bars of one row at y.
func drawRow(b *strings.Builder, e *entry, y int, top float64) {
	better := "less is better"
	if e.HigherIsBetter {
		better = "more is better"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", plotMargin, y+13, html.EscapeString(e.Name))
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#666666" font-size="11">%s, %s</text>`+"\n", plotMargin, y+28, e.Unit, better)
	scale := float64(plotWidth-labelWidth-valueWidth) / top
	for i, who := range plotted {
		s := e.of(who)
		if len(s.Samples) == 0 {
			continue
		}
		at := y + i*(barHeight+2)
		middle := float64(at) + barHeight/2.0
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, at, s.Median*scale, barHeight, plotColours[i])
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1[2]f" stroke="#222222"/>`+"\n",
			labelWidth+s.Min*scale, middle, labelWidth+s.Max*scale)
		label := number(s.Median)
		if i == 0 && e.Factor != 0 {
			label += " (" + verdict(e.Factor) + ")"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", labelWidth+s.Max*scale+6, at+12, label)
	}
}
