# SPDX-License-Identifier: BSD-2-Clause
# For edge.sh: a shell in a shell.
echo inner
cat /data/poem.txt | wc
