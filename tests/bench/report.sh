#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# report.sh [RESULTS [PAGE]]: build/bench.json as one HTML page that needs nothing else.
set -u
json=${1:-build/bench.json}
page=${2:-build/bench.html}
budgets=tests/bench/budgets
[ -s "$json" ] || {
    echo "bench-report: no $json: run make bench first" >&2
    exit 3
}
tr '{' '\n' <"$json" | awk -v budgets="$budgets" '
    function field(name) {
        if (!match($0, "\"" name "\": (\"[^\"]*\"|[^,}]*)")) return ""
        s = substr($0, RSTART, RLENGTH)
        sub(/^[^:]*: "?/, "", s); sub(/"$/, "", s)
        return s
    }
    function esc(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); return s }
    function x(ratio) { # logarithmic, 0.001 to 10000 over 560 units
        if (ratio < 0.001) ratio = 0.001
        if (ratio > 10000) ratio = 10000
        return 80 * (log(ratio) / log(10) + 3)
    }
    BEGIN {
        while ((getline line < budgets) > 0) {
            split(line, w, /[ \t]+/)
            if (line !~ /^#/) budget[w[1]] = w[2]
        }
    }
    field("commit") != "" { commit = field("commit"); cpu = field("cpu"); kvm = field("kvm")
                            cores = field("cores"); next }
    field("name") != "" { n++; name[n] = field("name"); ratio[n] = field("ratio") + 0
        exits[n] = field("exits") + 0; count[n] = field("n"); min[n] = field("min")
        p50[n] = field("p50"); p99[n] = field("p99"); unit[n] = field("unit"); next }
    field("what") != "" && n { what[n] = field("what"); b50[n] = field("p50"); b99[n] = field("p99")
        interval[n] = field("interval") }
    END {
        print "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>sempervm: make bench</title>"
        print "<style>body{font:15px sans-serif;max-width:70em;margin:2em auto}table{border-collapse:" \
            "collapse}td,th{padding:.2em .6em;border-bottom:1px solid #ccc;text-align:right}" \
            "td:first-child,td:last-child{text-align:left}.over{color:#b00}</style>"
        printf "<h1>sempervm: benchmarks</h1><p>commit %s, %s, KVM %s, %s cores</p>\n", esc(commit),
            esc(cpu), esc(kvm), cores
        print "<h2>Ratio to the baseline of the same run</h2>"
        printf "<svg id=ratios width=860 height=%d role=img font-size=12>\n", 22 * n + 40
        for (d = -3; d <= 4; d++) {
            px = 220 + 80 * (d + 3)
            printf "<line x1=%d x2=%d y1=0 y2=%d stroke=\"#ddd\"/><text x=%d y=%d>%g</text>\n", px, px,
                22 * n + 8, px - 8, 22 * n + 26, 10 ^ d
        }
        for (i = 1; i <= n; i++) {
            y = 22 * i
            over = name[i] in budget && ratio[i] > budget[name[i]] + 0
            printf "<text x=210 y=%d text-anchor=end>%s</text><rect class=case x=220 y=%d " \
                "width=%.1f height=14 fill=\"%s\"><title>%.3f</title></rect>\n", y, esc(name[i]),
                y - 11, x(ratio[i]), over ? "#c33" : "#47a", ratio[i]
            if (name[i] in budget)
                printf "<line x1=%.1f x2=%.1f y1=%d y2=%d stroke=black stroke-width=2/>\n",
                    220 + x(budget[name[i]]), 220 + x(budget[name[i]]), y - 13, y + 5
        }
        print "</svg><p>Black: budget. Red: over it. The scale is logarithmic.</p><h2>Cases</h2><table>"
        print "<tr><th>case<th>n<th>min<th>p50<th>p99<th>unit<th>exits<th>baseline p50<th>p99<th>" \
            "ratio<th>budget<th>what is measured, and against what"
        for (i = 1; i <= n; i++) {
            over = name[i] in budget && ratio[i] > budget[name[i]] + 0
            printf "<tr%s><td>%s<td>%s<td>%s<td>%s<td>%s<td>%s<td>%.3f<td>%s<td>%s<td>%.3f<td>%s<td>%s; " \
                "against %s\n", over ? " class=over" : "", esc(name[i]), count[i], min[i], p50[i],
                p99[i], unit[i], exits[i], b50[i], b99[i], ratio[i], budget[name[i]],
                esc(interval[i]), esc(what[i])
        }
        print "</table><h2>Published, not measured here</h2><p>The six primitives of the seL4 " \
            "predecessor, medians in cycles, as published: under QEMU TCG (2 GHz assumed), and on " \
            "another host (2.1 GHz).</p><table id=published><tr><th>primitive<th>TCG<th>host"
        m = split("ring write, 2048-byte slot|2,814|2,700;ring read|254|248;ring round trip, one " \
            "component|3,046|2,920;endpoint configure (RPC)|49,686|49,632;endpoint terminate " \
            "(RPC)|48,940|47,374;memory endpoint, 256 B in and out|346|328", row, ";")
        for (i = 1; i <= m; i++) {
            split(row[i], w, "|")
            printf "<tr><td>%s<td>%s<td>%s\n", w[1], w[2], w[3]
        }
        print "</table></html>"
        exit n == 0
    }' >"$page" || {
    echo "bench-report: no case in $json: run make bench" >&2
    exit 3
}
echo "bench-report: $page"
