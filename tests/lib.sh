# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# For the scripts in tests/system: small steps that build up one verdict per test.
#
#   begin NAME          starts a test
#   vm ARGUMENT...      runs sempervm; its output is in $T/out and $T/err, its status in $status
#   want_... / bad ...  the first expectation that does not hold is the reason of the failure
#   end                 prints PASS NAME, or FAIL NAME: reason with the output of the last vm
#   skip NAME REASON    prints SKIP NAME: reason
#
# SEMPERVM names the program.  Only POSIX sh and busybox are used, because the same scripts run in
# the machine under QEMU.  VM_LIMIT bounds each run in seconds; it only ends what hangs.

SEMPERVM=${SEMPERVM:-build/sempervm}
VM_LIMIT=${VM_LIMIT:-300}
T=$(mktemp -d) || exit 1
# Whatever a test leaves running or lying about goes with it.
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
fails=0
status=0

begin()
{
    test_name=$1
    reason=
    : >"$T/out"
    : >"$T/err"
}

bad()
{
    [ -n "$reason" ] || reason=$*
}

vm()
{
    last="sempervm $*"
    timeout -k 5 "$VM_LIMIT" "$SEMPERVM" "$@" >"$T/out" 2>"$T/err" </dev/null
    status=$?
}

# The same under limits: vm_in 'ulimit -n 20' ARGUMENT...
vm_in()
{
    setup=$1
    shift
    last="$setup; sempervm $*"
    (
        eval "$setup" && exec timeout -k 5 "$VM_LIMIT" "$SEMPERVM" "$@"
    ) >"$T/out" 2>"$T/err" </dev/null
    status=$?
}

want_status()
{
    case $status in
    124 | 137) bad "$last: did not end within $VM_LIMIT s" ;;
    esac
    [ "$status" = "$1" ] || bad "$last: exit status $status, not $1"
}

want_out()
{
    grep -Eq -e "$1" "$T/out" || bad "$last: no /$1/ in the output"
}

want_err()
{
    grep -Eq -e "$1" "$T/err" || bad "$last: no /$1/ in the errors"
}

want_no_out()
{
    ! grep -Eq -e "$1" "$T/out" || bad "$last: /$1/ in the output"
}

want_no_err()
{
    ! grep -Eq -e "$1" "$T/err" || bad "$last: /$1/ in the errors"
}

# want_count N REGEX: exactly N lines of output match.
want_count()
{
    n=$(grep -Ec -e "$2" "$T/out")
    [ "$n" = "$1" ] || bad "$last: $n lines match /$2/, not $1"
}

want_last_line()
{
    tail -n 1 "$T/out" | grep -Eq -e "$1" || bad "$last: the last line is not /$1/"
}

# One line that names the thing: want_one_line_err REGEX.
want_one_line_err()
{
    n=$(wc -l <"$T/err")
    [ "$n" -eq 1 ] || bad "$last: $n lines of errors, not one"
    want_err "$1"
}

end()
{
    if [ -z "$reason" ]; then
        echo "PASS $test_name"
        return
    fi
    fails=$((fails + 1))
    echo "FAIL $test_name: $reason"
    # The two ends of it: what was being done, and how it went.
    for f in out err; do
        if [ "$(wc -l <"$T/$f")" -gt 40 ]; then
            head -n 15 "$T/$f"
            echo '    ...'
            tail -n 25 "$T/$f"
        else
            cat "$T/$f"
        fi | sed "s/^/    $f| /"
    done
}

skip()
{
    echo "SKIP $1: $2"
}

# The last line of every script.
finish()
{
    [ "$fails" = 0 ]
    exit
}
