#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# File systems: the host tool, the service through the library, the shell, pipes; demos/files.ini.
set -u
. tests/lib.sh

FS=$(dirname "$SEMPERVM")/semperfs
[ -x "$FS" ] || FS=build/semperfs
IMG=$(dirname "$FS")/files.img

# fs ARGUMENT...: like vm, of semperfs
fs()
{
    last="semperfs $*"
    timeout -k 5 "$VM_LIMIT" "$FS" "$@" >"$T/out" 2>"$T/err" </dev/null
    status=$?
}

begin 'files: filetest and the shell'
vm run --timeout "$VM_LIMIT" demos/files.ini
want_status 0
want_no_out '^FAIL|did not end|heap use'
want_no_err .
want_count 1 '^filetest: [1-9][0-9]* passed, 0 failed$'
want_count 1 '^shell: 17 passed, 0 failed$'
cp "$T/out" "$T/kept"
end

while read -r line; do
    begin "files: $line"
    grep -Fxq -e "$line" "$T/kept" || bad 'no such line'
    end
done <<'LINES'
ok   its size is what was written
ok   the other half was cut meanwhile
ok   it can still be read
ok   remove a folder that is not empty
ok   parts of a file that is not open
ok   its exit code
ok   echo a line of text: exit code 0
ok   cat /data/poem.txt | wc: exit code 0, exit code 0
ok   cat /data/numbers.txt | cat | filesum: exit code 0, exit code 0, exit code 0
ok   pattern write 300000 | pattern read 300000: exit code 0, exit code 0
ok   pattern read 1000000 < /data/pattern: exit code 0
ok   ! cat /data/nothing: exit code 1
ok   ! /bin/nothing: not started
4 31 136
LINES

begin 'files: the sum that filesum prints is that of the file'
"$FS" cat "$IMG" /data/numbers.txt >"$T/numbers" || bad 'semperfs cat failed'
sum=$(od -An -v -t u4 "$T/numbers" | awk -v bytes="$(wc -c <"$T/numbers")" '
    { for (i = 1; i <= NF; i++) if (++n <= int(bytes / 4)) s = (s + $i) % 4294967296 }
    END { printf "%.0f", s }')
grep -q "^Read 206605 bytes; checksum=$sum\$" "$T/kept" || bad "not $sum"
end

begin 'files: pipes that end early, shells in shells, and what a shell refuses'
vm run --pes 12 --timeout "$VM_LIMIT" --fs "$IMG" -- kernel m3fs 8388608 daemon -- \
    shell /etc/edge.sh requires=m3fs
want_status 0
want_count 1 '^shell: 13 passed, 0 failed$'
want_count 2 '^shell: 2 passed, 0 failed$'
want_count 1 '^ok   ! pattern wrong 1 [|] wc: exit code 255, exit code 0$'
want_count 1 '^ok   ! cat /data/poem.txt [|] nothing: not started, not started$'
end

begin 'files: the same seed, the same run'
vm run --seed 3 --timeout "$VM_LIMIT" demos/files.ini
want_status 0
want_out '^shell: 17 passed, 0 failed$'
cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash"
vm run --seed 3 --timeout "$VM_LIMIT" demos/files.ini
cat "$T/out" "$T/err" | grep 'trace hash' >"$T/hash2"
[ -s "$T/hash" ] || bad 'no trace hash'
cmp -s "$T/hash" "$T/hash2" || bad 'another trace hash'
end

begin 'files: no image, no service'
vm run --pes 4 --timeout "$VM_LIMIT" -- kernel m3fs 8388608
want_status 1
want_out 'm3fs: no file system in 8388608 bytes at 0'
end

begin 'files: two images, two services by name'
vm run --pes 6 --timeout "$VM_LIMIT" --fs "$IMG:2" -- kernel m3fs 8388608 daemon -- \
    m3fs 8388608 8388608 other daemon -- filetest other requires=m3fs requires=other
want_status 0
want_out '^filetest: [1-9][0-9]* passed, 0 failed$'
end

# ---- the host tool ----

begin 'semperfs: a folder, an image, and back'
mkdir -p "$T/d/sub/deep" "$T/d/empty"
printf 'hello\n' >"$T/d/one"
: >"$T/d/sub/nothing"
awk 'BEGIN { for (i = 0; i < 60000; i++) print i * 7919 }' >"$T/d/sub/deep/big"
for i in 1 2 3 4 5 6 7 8 9; do printf %s "$i" >"$T/d/a name that is rather long, number $i"; done
for options in '' '--spread 1' '--block-size 1024 --spread 1' '--block-size 2048'; do
    rm -rf "$T/back" "$T/i"
    # shellcheck disable=SC2086 # words
    fs make $options "$T/i" "$T/d"
    want_status 0
    fs check "$T/i"
    want_status 0
    want_out ': ok: 12 files, 4 folders, '
    fs export "$T/i" "$T/back"
    want_status 0
    diff -r "$T/d" "$T/back" >/dev/null || bad "with '$options' something else came back"
done
fs ls "$T/i" /sub
want_out '^-644 +1 +0 nothing$'
fs cat "$T/i" /one
want_out '^hello$'
end

begin 'semperfs: the same folder, the same image'
"$FS" make "$T/i1" "$T/d" && "$FS" make "$T/i2" "$T/d" && cmp -s "$T/i1" "$T/i2" || bad 'no'
end

begin 'semperfs: an empty image'
fs make "$T/e" 1M
want_status 0
fs check "$T/e"
want_out ': ok: 0 files, 1 folders, '
end

begin 'semperfs: a damaged image'
cp "$T/i1" "$T/bad"
printf '\377\377' | dd of="$T/bad" bs=1 seek=4106 conv=notrunc 2>/dev/null
fs check "$T/bad"
want_status 1
want_err 'marked used|in use'
printf '\377' | dd of="$T/bad" bs=1 seek=28 conv=notrunc 2>/dev/null
fs check "$T/bad"
want_status 1
want_one_line_err 'checksum is wrong'
fs ls "$T/bad"
want_status 1
want_one_line_err 'damaged'
end

begin 'semperfs: an image that is too small'
fs make "$T/s" "$T/d" 64K
want_status 3
want_one_line_err 'no space left'
end

while read -r want words; do
    begin "semperfs: errors: $words"
    # shellcheck disable=SC2086 # words
    fs $words
    want_status "$want"
    want_one_line_err '^semperfs: '
    end
done <<LINES
2 make
2 make $T/x
2 make --inodes few $T/x 1M
2 make --color 1 $T/x 1M
2 make $T/x $T/d 1Q
3 make --block-size 512 $T/x 1M
3 make $T/x 4K
3 make $T/x $T/nowhere
3 make $T/nowhere/x 1M
2 check
3 check $T/nowhere
1 check $T/d
2 cat $T/i1
1 cat $T/i1 /nothing
1 cat $T/i1 /sub
1 ls $T/i1 /one
3 export $T/i1 $T/d
2 mount $T/i1
LINES

finish
