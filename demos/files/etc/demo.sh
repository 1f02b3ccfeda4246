# SPDX-License-Identifier: BSD-2-Clause
# What the shell of demos/files.ini runs; see guest/apps/shell.c.
echo a line of text
cat /data/poem.txt
wc /data/poem.txt
cat /data/poem.txt | wc
filesum /data/numbers.txt
cat /data/numbers.txt | cat | filesum
ls /data
echo first > /data/new.txt
echo second >> /data/new.txt
cat < /data/new.txt
pattern write 1000000 > /data/pattern
pattern read 1000000 < /data/pattern
pattern write 300000 | pattern read 300000
! pattern write 300001 | pattern read 300000
! cat /data/nothing
! /bin/nothing
! /data/poem.txt
