#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# File systems, pipes and exec with the original SemperOS, in both directions; SEMPEROS as in
# semperos.sh.
set -u
. tests/lib.sh

if [ -z "${SEMPEROS:-}" ]; then
    skip 'test-semperos (files)' 'set SEMPEROS to a built SemperOS checkout'
    exit 0
fi
build=$SEMPEROS/build/gem5-${SEMPEROS_BUILD:-release}
bin=$build/bin
host=$(dirname "$SEMPERVM")
FS=$host/semperfs
fsck=$build/src/tools/m3fsck/m3fsck
mkfs=$build/src/tools/mkm3fs/mkm3fs
default=$build/default.img

# mix FOLDER PROGRAM...: the original's programs, these of ours in place of theirs or beside them.
mix()
{
    folder=$T/$1
    shift
    mkdir "$folder"
    for f in "$bin"/*; do
        ln -s "$(realpath "$f")" "$folder/"
    done
    for f; do
        ln -sf "$(realpath "$host/guest/$f")" "$folder/$f"
    done
}

# on FOLDER ARGUMENT...
on()
{
    folder=$T/$1
    shift
    vm run --images "$folder" --pes 16 --timeout 90 "$@"
}

mix original shell filetest filesum captree capchain
mix service m3fs
mix both kernel idle m3fs
mix kernel kernel idle filesum filetest

# ---- images ----

for name in default bench appbench; do
    begin "semperos: its $name.img, our checker; exported and made again, its checker"
    if [ -r "$build/$name.img" ] && [ -x "$fsck" ]; then
        "$FS" check "$build/$name.img" >"$T/out" 2>"$T/err" || bad 'semperfs check finds something'
        "$FS" export "$build/$name.img" "$T/tree" 2>"$T/err" || bad 'it cannot be exported'
        for options in '' '--spread 1' '--block-size 1024'; do
            # shellcheck disable=SC2086 # words
            "$FS" make $options "$T/img" "$T/tree" 2>"$T/err" || bad 'it cannot be made again'
            "$fsck" "$T/img" >"$T/out" 2>"$T/err" || bad "m3fsck refuses the image, '$options'"
        done
        "$mkfs" "$T/img" "$T/tree" 16384 4096 1 >"$T/out" 2>"$T/err" || bad 'mkm3fs failed'
        "$FS" check "$T/img" >"$T/out" 2>"$T/err" || bad 'semperfs refuses what mkm3fs made'
        "$FS" export "$T/img" "$T/back" 2>"$T/err" || bad 'what mkm3fs made cannot be exported'
        diff -r "$T/tree" "$T/back" >"$T/out" || bad 'something else came back'
        rm -rf "$T/tree" "$T/back" "$T/img"
    else
        bad "no $build/$name.img or no m3fsck"
    fi
    end
done

# ---- the service ----

size=$(stat -L -c %s "$default")
begin 'semperos: the sum of a file: original client, our m3fs, both kernels'
on original --fs "$default" -- kernel m3fs "$size" daemon -- \
    filechksum /movies/starwars.txt requires=m3fs
sum=$(sed -n 's/.*\(Read [0-9]* bytes; checksum=[0-9]*\).*/\1/p' "$T/out")
[ -n "$sum" ] || bad 'no sum from the original'
for machine in service both; do
    on $machine --fs "$default" -- kernel m3fs "$size" daemon -- \
        filechksum /movies/starwars.txt requires=m3fs
    want_status 0
    want_count 1 "^$sum$"
done
end

begin 'semperos: the sum of a file: our client, original m3fs and kernel'
on original --fs "$default" -- kernel m3fs "$size" daemon -- \
    filesum /movies/starwars.txt requires=m3fs
want_status 0
want_count 1 "^$sum$"
end

image=$host/files.img
size=$(stat -L -c %s "$image")
# Its m3fs names more selectors than it has: our kernel gives those that are there.
begin 'semperos: the sum of a file: our client and kernel, original m3fs'
on kernel --fs "$default" -- kernel m3fs "$(stat -L -c %s "$default")" daemon -- \
    filesum /movies/starwars.txt requires=m3fs
want_status 0
want_count 1 "^$sum$"
end

begin 'semperos: filecopy on our m3fs and kernel'
on both --fs "$default" -- kernel m3fs "$(stat -L -c %s "$default")" daemon -- \
    filecopy /movies/starwars.txt /copy.txt requires=m3fs
want_status 0
want_no_out 'failed|Error'
end

begin 'semperos: our shell, original kernel and m3fs: exec, pipes, files'
on original --fs "$image" -- kernel m3fs "$size" daemon -- shell /etc/demo.sh requires=m3fs
want_count 1 '^shell: 17 passed, 0 failed$'
end

# What the original m3fs gets wrong is named here; all else must be right:
#   seek from the end with an offset, and the offset in extents of several blocks (INodes.cc, seek)
#   capabilities for blocks that were cut (INodes.cc, truncate), links to a name that is taken
#   (Links.cc, create), folders and files mixed up in paths (Dirs.cc, search)
for machine in original kernel; do
    begin "semperos: filetest on the original m3fs, kernel: $machine"
    on $machine --fs "$image" -- kernel m3fs "$size" daemon -- filetest requires=m3fs
    for line in 'its size is what was written' 'read it all' 'overwrite across a block.s end' \
        '8 bytes' 'it can still be read' 'rename'; do
        want_out "^ok   $line$"
    done
    end
done

# ---- their programs as children of our shell ----

begin 'semperos: its cat, ls and wc started by our shell from our m3fs, with pipes to ours'
mkdir -p "$T/tree/bin" "$T/tree/etc"
cp -R "$host/files.tree/." "$T/tree"
for f in cat ls wc; do
    cp "$bin/$f" "$T/tree/bin/their-$f"
done
cat >"$T/tree/etc/demo.sh" <<'LINES'
their-cat /data/poem.txt
their-wc /data/poem.txt
their-ls /data
cat /data/poem.txt | their-wc
their-cat /data/poem.txt | wc
their-cat /data/poem.txt | their-wc
their-cat /data/numbers.txt | filesum
their-cat /data/poem.txt > /data/copy
wc /data/copy
LINES
"$FS" make "$T/img" "$T/tree" 8M || bad 'no image'
vm run --pes 16 --timeout 90 --fs "$T/img" -- kernel m3fs 8388608 daemon -- \
    shell /etc/demo.sh requires=m3fs
want_status 0
want_count 1 '^shell: 9 passed, 0 failed$'
want_count 3 '^ +4 +31 +136$'
want_count 2 '^4 31 136$'
want_count 1 '^Read 206605 bytes; checksum='
end

# ---- trees and chains on its kernels ----

begin 'semperos: our captree and capchain across two original kernels'
on original -- kernel kernel captree obtain 5 requires=captree repeat=2 pes=3 -- \
    captree serve 10 daemon
want_count 2 '^captree: 11 rounds, 5 capabilities obtained in each, all dead afterwards$'
on original -- kernel kernel capchain link daemon pes=2 -- capchain root 20 requires=capchain-link
want_count 1 '^capchain: a chain of 20, dead at both ends$'
end

finish
