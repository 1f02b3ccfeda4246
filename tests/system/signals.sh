#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# How a machine ends that does not end by itself: by signal, by --timeout, because all wait.
set -u
. tests/lib.sh

guests=${GUESTS:-build/guest}
mkfifo "$T/pipe"

# spinner FILE: makes of a good program one whose first instruction jumps to itself.
spinner()
{
    entry=$(od -An -t u8 -j 24 -N 8 "$1" | tr -d ' ')
    for at in 64 120 176 232; do
        offset=$(od -An -t u8 -j $((at + 8)) -N 8 "$1" | tr -d ' ')
        vaddr=$(od -An -t u8 -j $((at + 16)) -N 8 "$1" | tr -d ' ')
        size=$(od -An -t u8 -j $((at + 32)) -N 8 "$1" | tr -d ' ')
        if [ "$entry" -ge "$vaddr" ] && [ "$entry" -lt $((vaddr + size)) ]; then
            printf '\353\376' | dd of="$1" bs=1 seek=$((offset + entry - vaddr)) conv=notrunc \
                2>/dev/null
            return
        fi
    done
    bad "no segment of $1 holds its entry"
}

# signalled SIGNAL ARGUMENT...: runs a machine, waits until `secret` works in it, sends SIGNAL.
# --timeout only ends a machine that does not obey.
signalled()
{
    signal=$1
    shift
    last="sempervm run $* and SIG$signal"
    "$SEMPERVM" run --timeout "$VM_LIMIT" "$@" >"$T/pipe" 2>"$T/err" </dev/null &
    vm_pid=$!
    exec 3<"$T/pipe"
    line=
    until [ "$line" = 'secret: kept' ]; do
        read -r line <&3 || {
            bad "$last: ended before its work"
            break
        }
    done
    kill -s "$signal" "$vm_pid"
    wait "$vm_pid"
    status=$?
    cat <&3 >"$T/out"
    exec 3<&-
}

begin 'signals: Ctrl-C ends a working machine and prints the statistics'
signalled INT -- kernel secret 4000000000
want_status 130
want_err 'statistics'
want_err '^PE 1: '
want_err 'ended by signal 2'
want_no_out 'intact'
end

begin 'signals: Ctrl-C reaches a machine in which a PE spins'
mkdir "$T/img"
cp "$guests"/* "$T/img/" 2>/dev/null
spinner "$T/img/hello"
signalled INT --images "$T/img" -- kernel hello -- secret 4000000000
want_status 130
want_err 'statistics'
end

begin 'signals: SIGTERM ends it too'
signalled TERM -- kernel secret 4000000000
want_status 143
want_err 'statistics'
end

# reports ARGUMENT...: a machine with a report on each stream, whose standard error is a pipe with
# room for the report's beginning only.  Returns when the run is over: the first report can be read.
mkfifo "$T/full"
reports()
{
    last="sempervm run --report exits --stats $*, a signal after the end"
    exec 4<>"$T/full"
    yes '' | head -c 61000 >&4
    "$SEMPERVM" run --timeout "$VM_LIMIT" --report exits --stats "$@" >"$T/pipe" 2>"$T/full" \
        </dev/null 4>&- &
    vm_pid=$!
    exec 3<"$T/pipe" 5<"$T/full" 4>&-
    line=
    until [ "${line%PEs exited 0}" != "$line" ]; do
        read -r line <&3 || {
            bad "$last: no report"
            break
        }
    done
}

# 30 programs: some 8 KiB of statistics.
many()
{
    echo kernel hello
    for i in 1 2 3 4 5 6 7 8 9 10; do
        echo -- hello -- hello -- hello
    done
}

begin 'signals: one that comes when the machine has ended does not cut its report short'
# shellcheck disable=SC2046 # words
reports --pes 32 -- $(many)
kill -s TERM "$vm_pid"
cat <&5 >"$T/err"
cat <&3 >"$T/out"
wait "$vm_pid"
status=$?
exec 3<&- 5<&-
want_status 0
want_err '^PE 32: '
end

begin 'signals: two of them end it, report or not'
# shellcheck disable=SC2046 # words
reports --pes 32 -- $(many)
kill -s INT "$vm_pid"
kill -s TERM "$vm_pid"
wait "$vm_pid" 2>/dev/null
status=$?
exec 3<&- 5<&-
case $status in
130 | 143) ;; # whichever it took last
*) bad "$last: exit status $status" ;;
esac
end

begin 'signals: a reader that goes away does not end the machine'
# The reader takes one line of three and closes; the machine ends as if nothing were.
last='sempervm run into a closed pipe'
{
    timeout -k 5 "$VM_LIMIT" "$SEMPERVM" run --timeout "$VM_LIMIT" -- kernel hello -- hello -- hello \
        2>"$T/err"
    echo $? >"$T/status"
} | head -n 1 >"$T/out"
status=$(cat "$T/status")
want_status 0
end

begin 'timeout: a working machine'
vm run --timeout 1 -- kernel secret 4000000000
want_status 4
want_one_line_err 'timed out'
end

begin 'timeout: a PE that spins'
vm run --timeout 1 --images "$T/img" -- hello
want_status 4
want_one_line_err 'timed out'
end

begin 'timeout: not reached'
vm run --timeout "$VM_LIMIT" -- kernel hello
want_status 0
want_no_err .
end

begin 'rest: all wait: deadlock'
vm run --pes 2 --timeout "$VM_LIMIT" -- idle
want_status 5
want_err '^sempervm: deadlock: 2 PEs wait'
end

begin 'rest: all wait, as asked'
vm run --pes 2 --timeout "$VM_LIMIT" --until-idle -- idle
want_status 0
want_no_err .
end

finish
