#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# profile.sh [CASE...]: where the exits of ringbench's cases come from.  Each case runs twice, with
# few and with many rounds; what the statistics differ by, divided by the rounds, is what one
# operation costs, of each PE and by reason.  1 is the kernel, 2 measures, 3 answers.
set -u
sempervm=${SEMPERVM:-build/sempervm}
few=20
many=120
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT

# count ROUNDS CASE: "PE REASON COUNT" lines.
count()
{
    "$sempervm" run --timeout 300 --pes 3 --rings yes --stats --no-prefix -- kernel ringbench "$1" "$2" \
        2>"$T/stats" >"$T/out" </dev/null || {
        echo "profile: ringbench $1 $2 did not run to its end: $(tail -n 1 "$T/stats")" >&2
        exit 3
    }
    awk '/^PE [0-9]+:/ { pe = $2 + 0 }
        $1 == "exits" { for (i = 2; i < NF; i += 2) print pe, $i, $(i + 1) }
        $1 == "commands" { for (i = 2; i < NF; i += 2) print pe, "(" $i ")", $(i + 1) }' "$T/stats"
}

[ $# -gt 0 ] || set -- msg_rtt_64 msg_tput_64 wake_sleeper syscall_noop exchange_local \
    revoke_local ep_configure ep_configure_asleep ep_invalidate
for name; do
    count $few "$name" >"$T/few"
    count $many "$name" >"$T/many"
    awk -v rounds=$((many - few)) -v name="$name" '
        FNR == NR { few[$1 " " $2] = $3; next }
        {
            n = ($3 - few[$1 " " $2]) / rounds
            if (n > 0.02 || n < -0.02) line[$1] = line[$1] sprintf(" %s %.2f", $2, n)
        }
        END {
            printf "%s, a round:\n", name
            for (pe = 1; pe <= 3; pe++) printf "  PE %d:%s\n", pe, line[pe] == "" ? " no exits" : line[pe]
        }' "$T/few" "$T/many"
done
