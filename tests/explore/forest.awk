# SPDX-License-Identifier: BSD-2-Clause
#
# Is the output of a seeded run of tests/explore/forest-crash.ini (on standard input) right, a
# program having crashed or not?  Status 0: yes; else a line says what is not.

/fault: / && !/crashed by --faults/ { wrong("a fault of its own: " $0) }
/crashed by --faults/ { injected++ }
/: .* on PE [0-9]+ has crashed$/ { noticed++ }
/capforest: client [0-9]+: .* 0 wrong$/ { whole++ }
/ [1-9][0-9]* wrong$|should be gone|is missing|PANIC|did not end|does not answer/ { wrong($0) }

# What a kernel has when all is over: as many blocks as at the beginning, so nothing is reserved,
# nobody is waited for, and no capability is an orphan.
/heap use/ {
    match($0, /heap use [0-9]+/)
    use = substr($0, RSTART + 9, RLENGTH - 9)
    match($0, /[0-9]+ after boot/)
    if (use + 0 != substr($0, RSTART, RLENGTH - 11) + 0)
        wrong($0)
}

function wrong(what)
{
    why = why ? why : what
}

END {
    # Who crashes when all is done has ended already.
    if (noticed > injected)
        wrong(noticed " programs have crashed, not " injected + 0)
    if (whole + noticed < clients || whole > clients)
        wrong(whole + 0 " clients of " clients " are whole")
    if (why)
        print why
    exit why != ""
}
