#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# A machine of many hosts started by Open MPI's mpirun (any launcher that sets
# OMPI_COMM_WORLD_RANK or PMI_RANK does): one process a host, each a node.  No MPI is spoken.
#
#     demos/openmpi.sh HOST0 HOST1 [HOST2...]            FILE=demos/triple-host.ini PORT=7830
set -eu
[ $# -ge 2 ] || {
    echo "usage: [FILE=machine.ini] demos/openmpi.sh HOST0 HOST1 [HOST2...]" >&2
    exit 2
}
file=${FILE:-demos/$([ $# = 2 ] && echo dual || echo triple)-host.ini}
port=${PORT:-7830}

peers=
hosts=
k=0
for host; do
    peers="$peers --peer $k=$host:$port"
    hosts="$hosts${hosts:+,}$host:1"
    k=$((k + 1))
done
# shellcheck disable=SC2086 # a list
exec "${MPIRUN:-mpirun}" --host "$hosts" --map-by node -np $# --wdir "$(pwd)" \
    build/sempervm run --node auto --listen "0.0.0.0:$port" $peers "$file"
