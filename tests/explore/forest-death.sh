#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Is the output of a seeded run of tests/explore/forest-death.ini (on standard input) right?
exec awk '
    /heap use|should be gone|is missing|PANIC/ { wrong = wrong ? wrong : $0 }
    /^capforest: client 1: survived 1 deaths, 0 wrong$/ { survived++ }
    END {
        if (wrong || survived != 1)
            print wrong ? wrong : "client 1 did not survive"
        exit wrong || survived != 1
    }'
