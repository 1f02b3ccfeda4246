# SPDX-License-Identifier: BSD-2-Clause
# For tests/system/files.sh: what goes wrong, goes wrong in an orderly way.
! pattern write 1000000 | echo this one does not read
! pattern wrong 1 | wc
shell /etc/inner.sh
shell /etc/inner.sh > /data/log
! nothing | cat
! cat /data/poem.txt | nothing
! pattern write 100000000 > /data/big
! wc /data/poem.txt > /nowhere/x
cat /bin/shell | cat | cat | wc
! cat | cat | cat | cat | cat
! | cat
! cat >
wc /data/big
