#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# That the suite works: its smallest case with few samples, results that are kept, bad input, the
# page in a browser.  Nothing here depends on how fast anything is.
set -u
. tests/lib.sh

SEMPERVM=${BENCH:-build/bench}
VM_LIMIT=300
mkdir "$T/r"

# A list of budgets and results that fit it, without running anything.
printf 'trap_command 1e6 -\nboot_640 1e6 -\n' >"$T/budgets"

begin 'bench: results that are not there, or none'
vm --check "$T/none.json"
want_status 3
want_one_line_err 'none.json: No such file or directory: run make bench first'
printf '{"cases": [' >"$T/half.json"
vm --check "$T/half.json"
want_status 3
want_one_line_err 'half.json: line 1: '
vm --report "$T/half.json" "$T/page.html"
want_status 3
want_one_line_err 'half.json: line 1: '
[ ! -e "$T/page.html" ] || bad 'a page of nothing'
end

begin 'bench: bad arguments and budgets'
vm --out
want_status 2
want_one_line_err '^usage: '
vm no_such_case
want_status 2
want_one_line_err 'no case begins with no_such_case'
vm --tiny --out "$T/nowhere" trap_command
want_status 3
want_one_line_err 'cannot make .*/nowhere/bench.d'
printf 'trap_command fast -\n' >"$T/bad"
vm --check "$T/half.json" "$T/bad"
want_status 2
want_one_line_err 'bad:1: trap_command: the ratio is no number above 0'
end

begin 'bench: every case has a budget and the other way round'
grep -v '^#' tests/bench/budgets | awk 'NF { print $1 }' | sort >"$T/have"
grep -ohE '^    \{"[a-z0-9_]+"' tests/bench/*.c | tr -d ' {"' | sort >"$T/cases"
cp "$T/have" "$T/out"
diff "$T/have" "$T/cases" >"$T/err" || bad 'tests/bench/budgets and the cases differ'
end

if [ ! -w /dev/kvm ]; then
    skip 'bench: runs' 'there is no /dev/kvm here'
    finish
fi

begin 'bench: the smallest case'
vm --tiny --out "$T/r" trap_command
want_status 0
want_out '^trap_command +3 '
cp "$T/out" "$T/table"
vm --check "$T/r/bench.json" "$T/budgets"
want_out '^PASS trap_command +ratio [0-9.]+, budget 1e\+06; exits 1.000, budget any$'
want_out '^FAIL boot_640 +has no result$'
want_status 1
for word in '"commit": "' '"cpu": "' '"kvm": "' '"cores": [1-9]' '"name": "trap_command"' \
    '"ratio": [0-9.]+' '"exits": 1.000' '"n": 3' '"p50": ' '"p99": ' '"baseline": ' '"interval": "a store'; do
    grep -Eq "$word" "$T/r/bench.json" || bad "no $word in bench.json"
done
end

# begin_boot: the suite runs a case that takes long, in the background; waits until it is at it.
begin_boot()
{
    last="bench boot_640"
    "$SEMPERVM" --out "$T/r" boot_640 >"$T/out" 2>"$T/err" </dev/null &
    pid=$!
    child=
    tries=0
    while [ -z "$child" ] && [ $tries -lt 1000 ] && kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        sleep 0.01
        grep -q '^case ' "$T/out" && child=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
    done
    child=${child%% *}
    [ -n "$child" ] || bad 'the suite has no child'
}

# The case must run already to be what is interrupted: its machines are children of the child.
begin_machines()
{
    begin_boot
    tries=0
    while [ -z "$(cat "/proc/$child/task/$child/children" 2>/dev/null)" ] && [ $tries -lt 1000 ]; do
        tries=$((tries + 1))
        sleep 0.01
    done
}

begin 'bench: a case that is interrupted costs no other its result'
begin_machines
kill -TERM "$pid"
wait "$pid"
status=$?
want_status 130
want_out '^boot_640 +interrupted'
grep -q '"name": "trap_command"' "$T/r/bench.json" || bad 'trap_command is gone'
! grep -q '"name": "boot_640"' "$T/r/bench.json" || bad 'boot_640 has a result'
end

begin 'bench: a case that crashes costs no other its result'
begin_machines
kill -SEGV "$child"
wait "$pid"
status=$?
want_status 3
want_out '^boot_640 +FAILED ended by signal 11'
grep -q '"name": "trap_command"' "$T/r/bench.json" || bad 'trap_command is gone'
grep -q '"name": "boot_640", "status": "failed"' "$T/r/bench.json" || bad 'boot_640 did not fail'
vm --check "$T/r/bench.json" "$T/budgets"
want_status 1
want_out '^FAIL boot_640 +ended by signal 11$'
end

begin 'bench: the page of results'
vm --report "$T/r/bench.json" "$T/page.html"
want_status 0
grep -q 'trap_command' "$T/page.html" || bad 'trap_command is not on the page'
! grep -Eq '(src|href)=' "$T/page.html" || bad 'the page needs something else'
end

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$browser" ]; then
    skip 'bench: the page in a browser' 'there is no chromium here (Debian package chromium)'
    finish
fi

begin 'bench: the page in a browser'
last="$browser"
timeout -k 5 "$VM_LIMIT" "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --user-data-dir="$T/profile" --dump-dom "file://$T/page.html" >"$T/out" 2>"$T/err" </dev/null
status=$?
want_status 0
want_out '<svg id="ratios".*role="img">'
want_out '<svg id="distributions"'
# What the browser made of it: every element closed, a bar for each case, the tables filled.
[ "$(grep -o 'class="case"' "$T/out" | wc -l)" = 1 ] || bad 'not one bar for one case'
[ "$(grep -o 'class="box"' "$T/out" | wc -l)" = 2 ] || bad 'not two boxes for one case'
want_out '<td>trap_command *</td><td>3</td>'
want_out '<td>endpoint configure \(RPC\)</td><td>49,686</td>'
end

finish
