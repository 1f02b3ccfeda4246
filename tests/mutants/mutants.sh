# SPDX-License-Identifier: BSD-2-Clause
#
# Deliberately broken copies of the NIC and its backends.  Each *.sed here says in its first line
# which source it breaks, which unit test notices, and in which case; the rest edits a copy.  A
# mutant that no longer applies, does not compile, or goes unnoticed is a failure.
#
#   MUTANTS='hole-* seal-*' sh tests/mutants/mutants.sh     only those
set -u
here=tests/mutants
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
flags='-std=gnu11 -D_GNU_SOURCE -pthread -g -O1 -fsanitize=address,undefined
    -fno-sanitize-recover=all -w'
failures=0

fail() # name reason
{
    echo "FAIL mutant $1: $2"
    failures=$((failures + 1))
}

# The sources that a unit test names, as make sees them.
sources() # test
{
    for l in $(sed -n 's,^[/ ][/*]* LINK: *\([^*]*[a-z.]\).*,\1,p' "tests/unit/$1.c"); do
        case $l in
        *.c) echo "$l" ;;
        *) echo "$l"/*.c ;;
        esac
    done
}

compile() # source object
{
    # shellcheck disable=SC2086 # words
    gcc $flags -iquote include -c -o "$2" "$1" 2>"$T/errors"
}

# Objects of the unbroken sources, once for all mutants.
object() # source
{
    o=$T/objects/$1.o
    [ -e "$o" ] || {
        mkdir -p "${o%/*}"
        compile "$1" "$o" || return 1
    }
}

build() # source test: the program with the changed source in $T/tree
{
    list=
    for s in tests/unit/$2.c $(sources "$2"); do
        case $1 in
        *.h) changed=yes ;;
        "$s") changed=yes ;;
        *) changed=no ;;
        esac
        if [ $changed = yes ]; then
            o=$T/mutant/${s##*/}.o
            compile "$T/tree/$s" "$o" || return 1
        else
            object "$s" || return 1
        fi
        list="$list $o"
    done
    # shellcheck disable=SC2086 # words
    gcc -fsanitize=address,undefined -o "$T/program" $list \
        -lcheck -lsubunit -lrt -lm -lpthread -linih -lsodium 2>"$T/errors"
}

one() # sed file
{
    name=${1##*/}
    name=${name%.sed}
    # shellcheck disable=SC2046 # three words
    set -- "$1" $(sed -n '1s/^# //p' "$1")
    rm -rf "$T/tree" "$T/mutant"
    mkdir -p "$T/tree/tests/unit" "$T/mutant"
    cp -r netdev "$T/tree/"
    ln -s "$PWD/include" "$T/tree/include"
    cp tests/unit/*.h tests/unit/"$3".c "$T/tree/tests/unit/"
    sed -f "$1" "$2" >"$T/tree/$2"
    if cmp -s "$2" "$T/tree/$2"; then
        fail "$name" "changes nothing in $2"
        return
    fi
    if ! build "$2" "$3"; then
        cat "$T/errors"
        fail "$name" "does not compile"
        return
    fi
    # What hangs is noticed, too: twelve seconds are far more than each case takes.
    CK_TIMEOUT_MULTIPLIER=0.1 ASAN_OPTIONS=detect_leaks=0 \
        timeout -k 5 600 "$T/program" >"$T/log" 2>&1 </dev/null
    if grep -q "[FE]:[a-z0-9]*:$4:" "$T/log"; then
        echo "PASS mutant $name: noticed by $3 $4"
    else
        tail -n 5 "$T/log"
        fail "$name" "not noticed by $3 $4"
    fi
}

# Every n-th of them, in a folder of its own.
work() # which n
{
    T=$T/$1
    mkdir "$T"
    k=0
    for f in ${MUTANTS:-'*'}; do
        for m in $here/$f.sed; do
            k=$((k + 1))
            [ $((k % $2)) != "$1" ] || one "$m"
        done
    done
    [ $failures = 0 ]
}

workers=$(nproc)
pids=
i=0
while [ $i -lt "$workers" ]; do
    work $i "$workers" &
    pids="$pids $!"
    i=$((i + 1))
done
status=0
for pid in $pids; do
    wait "$pid" || status=1
done
exit $status
