#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Is the output of a seeded run of tests/explore/dual.ini (with --log info, on standard input)
# right?  Status 0: yes; else a line says what is not.
exec awk '
    /^sempervm: node [0-9]+ is lost/ { lost++ }
    /hostpair: FAIL/ { wrong = wrong ? wrong : $0 }
    /hostpair: interrupted/ { broken++ }
    /hostpair: complete$/ { complete++ }
    /hostpair: complete without/ { without++ }
    /hostpair: alone/ { alone++ }
    END {
        if (wrong)
            why = wrong
        else if (!lost && complete != 2)
            why = "no node was lost, but " complete + 0 " of 2 clients are complete"
        else if (!lost && broken + without + alone > 0)
            why = "no node was lost, but a client says so"
        else if (complete + without == 0)
            why = "no client is complete, although nodes that are lost return"
        if (why)
            print why
        exit why != ""
    }'
