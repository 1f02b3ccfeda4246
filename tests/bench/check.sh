#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh [RESULTS [BUDGETS]]: holds build/bench.json against tests/bench/budgets.  One line a case;
# exit status 1 when one is over, 3 when there is nothing to hold.
set -u
json=${1:-build/bench.json}
budgets=${2:-tests/bench/budgets}
[ -s "$json" ] || {
    echo "bench-check: no $json: run make bench first" >&2
    exit 3
}
tr '{' '\n' <"$json" | awk -v budgets="$budgets" '
    function field(name) {
        if (!match($0, "\"" name "\": \"?[^,\"}]*")) return ""
        s = substr($0, RSTART, RLENGTH)
        sub(/^[^:]*: "?/, "", s)
        return s
    }
    BEGIN {
        while ((getline line < budgets) > 0) {
            n = split(line, w, /[ \t]+/)
            if (n >= 3 && line !~ /^#/) { ratio[w[1]] = w[2]; exits[w[1]] = w[3] }
        }
    }
    field("name") != "" {
        name = field("name"); r = field("ratio") + 0; e = field("exits") + 0; seen++
        if (!(name in ratio)) { printf "FAIL %-24s has no budget\n", name; bad++; next }
        over = ""
        if (r > ratio[name] + 0) over = over sprintf(" ratio %.3f, budget %s;", r, ratio[name])
        if (exits[name] != "-" && e > exits[name] + 0)
            over = over sprintf(" %.3f exits, budget %s;", e, exits[name])
        if (over != "") { bad++; printf "FAIL %-24s%s\n", name, over }
        else printf "PASS %-24s ratio %.3f, budget %s; %.3f exits\n", name, r, ratio[name], e
    }
    END {
        if (!seen) { print "bench-check: no case in the results"; exit 3 }
        printf "%d cases, %d over their budget\n", seen, bad
        exit bad > 0
    }'
